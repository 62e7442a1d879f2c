"""Which of ClickHouse's answers may be retried.

- No answer (cannot connect, connection lost, time-out): the insert may or may not have happened.
  Retry; the deduplication token makes the second one harmless.
- 408, 429 and 5xx but 501: retry, as Vector does, with one exception. ClickHouse answers 500 to
  some bad data too (parser errors of formats and types), and repeating those would block everything
  behind them for ever: what counts is the code in `X-ClickHouse-Exception-Code`.
- The table or database is missing, a right or the login is wrong, the query does not fit the table:
  no row is to blame, and a person or a setup that still runs will put it right. Retry, and say so.
- Any other refusal is about the rows: split the batch until the bad ones are alone.
"""

from enum import Enum, auto

CODE_HEADER = "x-clickhouse-exception-code"

_ROWS_ARE_BAD = frozenset(
    {
        6,  # CANNOT_PARSE_TEXT
        26,  # CANNOT_PARSE_QUOTED_STRING
        27,  # CANNOT_PARSE_INPUT_ASSERTION_FAILED
        33,  # CANNOT_READ_ALL_DATA
        38,  # CANNOT_PARSE_DATE
        41,  # CANNOT_PARSE_DATETIME
        53,  # TYPE_MISMATCH
        69,  # ARGUMENT_OUT_OF_BOUND
        70,  # CANNOT_CONVERT_TYPE
        72,  # CANNOT_PARSE_NUMBER
        117,  # INCORRECT_DATA
        128,  # TOO_LARGE_ARRAY_SIZE
        130,  # CANNOT_READ_ARRAY_FROM_TEXT
        131,  # TOO_LARGE_STRING_SIZE
        153,  # ILLEGAL_DIVISION
        190,  # SIZES_OF_ARRAYS_DONT_MATCH
        306,  # TOO_DEEP_RECURSION
        321,  # VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE
        349,  # CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN
        376,  # CANNOT_PARSE_UUID
        395,  # FUNCTION_THROW_IF_VALUE_IS_NON_ZERO
        407,  # DECIMAL_OVERFLOW
        441,  # INVALID_JSON_PATH
        467,  # CANNOT_PARSE_BOOL
        469,  # VIOLATED_CONSTRAINT
        675,  # CANNOT_PARSE_IPV4
        676,  # CANNOT_PARSE_IPV6
        691,  # UNKNOWN_ELEMENT_OF_ENUM
    }
)
_SETUP_IS_MISSING = {
    16: "a column is missing: run `tailrace setup`",
    47: "a column is missing: run `tailrace setup`",
    60: "the table is missing: run `tailrace setup`",
    81: "the database is missing: run `tailrace setup`",
    115: "this ClickHouse is too old: it does not know a setting",
    164: "the user may only read",
    192: "the user is unknown: set the sink's auth",
    193: "the password is wrong: set the sink's auth",
    194: "a password is needed: set the sink's auth",
    497: "the user may not insert",
    516: "user name or password is wrong: set the sink's auth",
    # These three say that our own query is not understood; no row is to blame either.
    46: "this ClickHouse does not know a function",
    62: "this ClickHouse does not understand the query",
    73: "this ClickHouse does not know the format",
}
_TOO_MANY_PARTS = 252

TABLE_IS_MISSING = frozenset({60, 81})
"""UNKNOWN_TABLE and UNKNOWN_DATABASE."""


class Verdict(Enum):
    """What to do after a refusal."""

    RETRY = auto()
    RETRY_SOON = auto()
    """Nothing is overloaded: something is not there yet."""
    SPLIT = auto()


def judge(status: int, code: int, text: str) -> tuple[Verdict, str]:
    """What to do, and what to tell a person."""
    if code in _SETUP_IS_MISSING:
        return Verdict.RETRY_SOON, _SETUP_IS_MISSING[code]
    if code == _TOO_MANY_PARTS and "for single INSERT block" in text:
        return Verdict.SPLIT, "the batch falls into too many partitions"
    if code in _ROWS_ARE_BAD:
        return Verdict.SPLIT, "a row is bad"
    if status in (401, 403, 404):
        return (
            Verdict.RETRY,
            "the address or the login is wrong: check the sink's endpoint and auth",
        )
    if status in (408, 429) or (status >= 500 and status != 501):
        return Verdict.RETRY, "ClickHouse cannot take it now"
    return Verdict.SPLIT, "ClickHouse refuses it"

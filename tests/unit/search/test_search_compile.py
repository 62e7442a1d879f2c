import re
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from tailrace.errors import QueryError
from tailrace.search.compile import Parameters, compile_search

NOW = datetime(2026, 11, 22, 10, 42, tzinfo=UTC)
OWN_SQL = re.compile(
    r"[ (),<>=0-9]|\{p\d+:(?:String|Float64|Int64|UInt64|Array\(String\))\}|'UTC'|''"
    r"|\b(?:AND|OR|NOT|IN|LIKE|match|has|lower|ifNull|mapContains|toString|toFloat64OrNull|hasAllTokens"
    r"|positionCaseInsensitiveUTF8|fromUnixTimestamp64Nano|message|attributes|attribute_items|source"
    r"|host|trace_id|span_id|log_level|timestamp|received_at)\b|[!\[\]]"
)

PIECES = st.sampled_from(
    [
        "(", ")", "[", "]", "{", "}", " TO ", " OR ", " AND ", " NOT ", "-", "*", '"', "/", ":", "|",
        "\\", ">=", "<", "level", "user", "timestamp", "42", "1 hour ago", "é", "'; DROP TABLE x --",
        "{p0:String}", "attributes['a']", "\x00", "\u202e", " ",
    ]
)  # fmt: skip
TEXTS = st.one_of(st.text(max_size=60), st.lists(PIECES, max_size=14).map("".join))


@given(TEXTS)
def test_any_text_compiles_or_is_a_query_error_and_never_gets_into_the_sql(text: str) -> None:
    parameters = Parameters()
    try:
        sql = compile_search(text, parameters, NOW)
    except QueryError:
        return
    assert OWN_SQL.sub("", sql) == ""
    assert set(re.findall(r"\{(p\d+):", sql)) == set(parameters.values)


def test_words_beyond_ascii_are_left_to_the_exact_check() -> None:
    parameters = Parameters()
    sql = compile_search("Übung", parameters, NOW)
    assert sql == "match(message, {p0:String})"
    assert parameters.values["p0"] == r"(?i)(?:^|[^\pL\pN])Übung(?:$|[^\pL\pN])"

"""Keeps a person's query from what `readonly = 1` lets through.

`readonly = 1` blocks writes, settings and the table functions that reach outside. It does not block
the scalar function `file()`, which in the embedded engine reads any file of the machine, the table
function `eval`, which runs text as a query, nor KILL.

The check does not rest on knowing where a string or a comment ends: a name that is followed by a
bracket is refused wherever it stands, so a mistake about quotes lets nothing through. It refuses a
few harmless queries, whose text holds `file (`, in exchange.
"""

import re

from tailrace.errors import StoreError

READONLY = 164
"""ClickHouse's code for what a read-only query may not do."""

_READING = {"SELECT", "WITH", "FROM", "SHOW", "DESC", "DESCRIBE", "EXISTS", "EXPLAIN"}
_LEADING = re.compile(r"(?:\s|\(|--[^\n]*(?:\n|$)|#[^\n]*(?:\n|$)|/\*.*?\*/)*(\w*)", re.DOTALL)
_BETWEEN = r"(?:/\*.*?\*/|--[^\n]*\n|#[^\n]*\n|[^\w(])*"
_CALL = re.compile(rf"(?<!\w)(file|eval){_BETWEEN}\(", re.DOTALL | re.IGNORECASE)
_APPLY = re.compile(
    rf"(?<!\w)APPLY(?:{_BETWEEN}\()?{_BETWEEN}(file|eval)(?!\w)", re.DOTALL | re.IGNORECASE
)
_QUOTED = re.compile(r"(?=[`\"“]([^`\"”]{1,200})[`\"”])")


def check_reads_only(sql: str) -> None:
    """Raise StoreError (164) when `sql` is more than a question about tables."""
    leading = _LEADING.match(sql)
    verb = leading[1] if leading else ""
    if verb.upper() not in _READING:
        raise StoreError(
            f"cannot run {verb or sql[:20]!r}: only queries that read are allowed here, as SELECT, "
            "WITH, SHOW, DESCRIBE, EXISTS and EXPLAIN",
            code=READONLY,
        )
    found = _CALL.search(sql) or _APPLY.search(sql)
    names = [found[1]] if found else [name for name in map(_unescape, _QUOTED.findall(sql)) if name]
    for name in names:
        if name.lower() in ("file", "eval"):
            raise StoreError(
                f"cannot run a query that calls {name}(…): it could read the machine's files",
                code=READONLY,
            )


def _unescape(name: str) -> str:
    """A quoted name that has escapes, without them; '' for one that has none."""
    if "\\" not in name:
        return ""
    plain = re.sub(r"\\x([0-9a-fA-F]{2})", lambda found: chr(int(found[1], 16)), name)
    return plain.replace("\\N", "").replace("\\", "")

"""Reads just enough of a ClickHouse statement to know what to do with its request.

Works on bytes and never looks into data: an INSERT is read up to the byte where its data begins and
no further, so a body of FORMAT Native is as safe as one of CSV. What is not understood here is left
to ClickHouse, whose parser has the last word.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

_TOKEN = re.compile(
    rb"""
      (?P<space>\s+|--[^\n]*|\#[!\ ][^\n]*|/\*.*?(?:\*/|\Z))
    | (?P<string>'(?:[^'\\]|\\.|'')*(?:'|\Z))
    | (?P<quoted>`(?:[^`\\]|\\.|``)*(?:`|\Z)|"(?:[^"\\]|\\.|"")*(?:"|\Z))
    | (?P<heredoc>\$(?P<tag>\w*)\$.*?(?:\$(?P=tag)\$|\Z))
    | (?P<word>[A-Za-z_][\w$]*)
    | (?P<number>[0-9][\w.]*)
    | (?P<sign>.)
    """,
    re.DOTALL | re.VERBOSE,
)


class Token(NamedTuple):
    """A word or sign of a statement; spaces and comments are not tokens."""

    kind: str
    text: bytes
    start: int
    end: int
    depth: int

    @property
    def word(self) -> bytes:
        """The word in upper case; empty for what is not a word."""
        return self.text.upper() if self.kind == "word" else b""


def tokens(sql: bytes) -> Iterator[Token]:
    """The tokens of a statement, each with the depth of brackets that it stands in."""
    depth = 0
    for match in _TOKEN.finditer(sql):
        kind = match.lastgroup or "sign"
        if match.group("heredoc") is not None:
            kind = "heredoc"
        if kind == "space":
            continue
        text = match.group()
        if kind == "sign" and text in b")]}":
            depth -= 1
        yield Token(kind, text, match.start(), match.end(), depth)
        if kind == "sign" and text in b"([{":
            depth += 1


@dataclass(frozen=True)
class Insert:
    """An INSERT whose rows come with the request.

    `head` is the statement up to the word FORMAT or VALUES. `data_start` is the offset of the first
    byte of data. `input_call` is where `input('structure')` stands in `head`, if it does.
    """

    head: bytes
    data_format: str
    data_start: int
    settings: bytes = b""
    input_call: tuple[int, int] | None = None
    structure: bytes = b""


@dataclass(frozen=True)
class Statement:
    """Any other statement.

    `output_format` is what its FORMAT clause names, `format_span` where that clause stands.
    """

    verb: str
    output_format: str | None = None
    format_span: tuple[int, int] | None = None
    touches_files: bool = False
    """It says INTO OUTFILE or FROM INFILE, which a server must not do for its clients."""


class Unfinished(Exception):
    """More bytes are needed to tell where the data begins."""


def is_insert(sql: bytes) -> bool:
    """Whether `sql` begins with INSERT."""
    first = next(tokens(sql), None)
    return first is not None and first.word == b"INSERT"


def first_word(sql: bytes) -> str:
    """The statement's first word in upper case, past comments and opening brackets."""
    return _verb(tokens(sql))


def read_insert(sql: bytes, *, complete: bool) -> Insert | None:
    """The INSERT at the start of `sql`, or None when its rows do not come with the request.

    Raises Unfinished when `complete` is false and `sql` may end before the data begins.
    """
    found = _find_insert(sql)
    if not complete and (found is None or found.data_start >= len(sql)):
        raise Unfinished
    return found


def _find_insert(sql: bytes) -> Insert | None:
    call: tuple[int, int] | None = None
    structure = b""
    selects = False
    stream = tokens(sql)
    for token in stream:
        if token.word == b"INPUT":
            call, structure = _read_input_call(sql, token)
        if token.depth:
            continue
        if token.text == b";" or token.word == b"INFILE":
            return None
        if token.word in (b"SELECT", b"WITH"):
            selects = True
        elif token.word == b"VALUES" and not selects:
            return Insert(sql[: token.start], "Values", token.end)
        elif token.word == b"FORMAT" and (call or not selects):
            name = next(stream, None)
            if name is not None and name.kind == "word":
                data_start, settings = _data_after(sql, name)
                return Insert(
                    sql[: token.start], name.text.decode(), data_start, settings, call, structure
                )
    return None


def _read_input_call(sql: bytes, word: Token) -> tuple[tuple[int, int] | None, bytes]:
    match = re.compile(rb"\s*\(\s*('(?:[^'\\]|\\.|'')*')\s*\)").match(sql, word.end)
    return ((word.start, match.end()), match.group(1)) if match else (None, b"")


_SETTINGS = re.compile(
    rb"\s+SETTINGS\s+(\w+\s*=\s*(?:'(?:[^'\\]|\\.)*'|[\w.+-]+)"
    rb"(?:\s*,\s*\w+\s*=\s*(?:'(?:[^'\\]|\\.)*'|[\w.+-]+))*)",
    re.IGNORECASE,
)


def _data_after(sql: bytes, format_name: Token) -> tuple[int, bytes]:
    """Where the data begins, as ClickHouse's own parser has it, and the settings before it."""
    end, settings = format_name.end, b""
    match = _SETTINGS.match(sql, end)
    if match and format_name.word != b"VALUES":
        end, settings = match.end(), match.group(1)
    while sql[end : end + 1] in (b" ", b"\t", b"\f"):
        end += 1
    for line_end in (b"\r", b"\n"):
        if sql[end : end + 1] == line_end:
            end += 1
    return end, settings


def read_statement(sql: bytes) -> Statement:
    """What kind of statement `sql` is and the format that it asks for."""
    lowered = sql.lower()
    if not any(word in lowered for word in (b"format", b"outfile", b"infile")):
        return Statement(_verb(tokens(sql)))
    found = list(tokens(sql))
    verb = _verb(iter(found))
    pairs = zip(found, found[1:], strict=False)
    files = any((first.word, second.word) in _FILE_CLAUSES for first, second in pairs)
    for index in range(len(found) - 2, 0, -1):
        clause, name = found[index], found[index + 1]
        if clause.word == b"FORMAT" and clause.depth == 0 and name.kind == "word":
            after = found[index + 2] if index + 2 < len(found) else None
            if after is None or after.text == b";" or after.word in (b"SETTINGS", b"INTO"):
                span = (clause.start, name.end)
                return Statement(verb, name.text.decode(), span, files)
    return Statement(verb, touches_files=files)


def _verb(stream: Iterator[Token]) -> str:
    first = next((token for token in stream if token.text != b"("), None)
    return first.word.decode("ascii", "replace") if first else ""


def into_file(sql: bytes, statement: Statement, path: str, output_format: str) -> bytes:
    """`sql` such that its answer goes into a new file."""
    clause = b" INTO OUTFILE " + quote(path) + b" FORMAT " + output_format.encode() + b" "
    if statement.format_span:
        start, end = statement.format_span
        return sql[:start] + clause + sql[end:]
    last = max((token.end for token in tokens(sql) if token.text != b";"), default=0)
    return sql[:last] + clause


def without_format(sql: bytes, statement: Statement) -> bytes:
    """`sql` without its FORMAT clause and what follows its last word."""
    if statement.format_span:
        start, end = statement.format_span
        sql = sql[:start] + b" " + sql[end:]
    last = max((token.end for token in tokens(sql) if token.text != b";"), default=0)
    return sql[:last]


_FILE_CLAUSES = {(b"INTO", b"OUTFILE"), (b"FROM", b"INFILE")}

QUERY_ID_SETTING = "chdb_client_name"
"""The engine gives its queries ids of its own. The id that a client gave travels in this setting,
which does nothing else in an engine that opens no connection to another server."""

_OWN_ID = b"if(Settings['chdb_client_name'] = '', query_id, Settings['chdb_client_name'])"
_PROCESSES = (
    b"(SELECT * REPLACE (%s AS query_id, %s AS initial_query_id) FROM system.processes)"
    % (_OWN_ID, _OWN_ID)
)


def with_client_ids(sql: bytes, query_id: str) -> bytes:
    """`sql` such that `system.processes`, KILL QUERY and queryID() know the clients' query ids."""
    lowered = sql.lower()
    if not any(word in lowered for word in (b"processes", b"kill", b"query")):
        return sql
    found = list(tokens(sql))
    kills = [token.word for token in found[:2]] == [b"KILL", b"QUERY"]
    parts: list[bytes] = []
    at = 0
    for index, token in enumerate(found):
        replacement, last = _replacement(found, index, kills, query_id)
        if replacement and token.start >= at:
            parts += [sql[at : token.start], replacement]
            at = last.end
    return b"".join([*parts, sql[at:]])


def _replacement(found: list[Token], index: int, kills: bool, query_id: str) -> tuple[bytes, Token]:
    token = found[index]
    following = found[index + 1 : index + 4]
    texts = [item.text for item in following]
    if kills and token.word == b"QUERY_ID":
        return _OWN_ID, token
    if (
        token.word == b"SYSTEM"
        and texts[:1] == [b"."]
        and len(texts) > 1
        and texts[1].lower() == b"processes"
    ):
        named = len(texts) > 2 and (following[2].word not in _AFTER_TABLE and following[2].word)
        return _PROCESSES + (b"" if named else b" AS processes"), following[1]
    if token.word in (b"QUERYID", b"QUERY_ID", b"INITIALQUERYID") and texts[:2] == [b"(", b")"]:
        return quote(query_id), following[1]
    return b"", token


_AFTER_TABLE = {
    b"WHERE", b"PREWHERE", b"ORDER", b"GROUP", b"LIMIT", b"FORMAT", b"SETTINGS", b"UNION", b"FINAL",
    b"SAMPLE", b"ARRAY", b"LEFT", b"RIGHT", b"INNER", b"FULL", b"CROSS", b"JOIN", b"ANY", b"ALL",
    b"HAVING", b"WINDOW", b"QUALIFY", b"OFFSET", b"FETCH", b"INTO", b"EXCEPT", b"INTERSECT",
    b"GLOBAL", b"ASOF", b"SEMI", b"ANTI", b"PASTE", b"ON", b"USING",
}  # fmt: skip


def split_list(text: bytes) -> list[bytes]:
    """`text` at its commas, but not at those inside brackets."""
    commas = [t.start for t in tokens(text) if t.text == b"," and t.depth == 0]
    edges = [-1, *commas, len(text)]
    pairs = zip(edges, edges[1:], strict=False)
    return [text[start + 1 : end].strip() for start, end in pairs]


def quote(text: str | bytes) -> bytes:
    """`text` as a string literal."""
    raw = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
    return b"'" + raw.replace(b"\\", b"\\\\").replace(b"'", b"\\'") + b"'"


def quote_name(name: str) -> bytes:
    """`name` as an identifier."""
    return (
        b"`"
        + name.encode("utf-8", "surrogateescape").replace(b"\\", b"\\\\").replace(b"`", b"\\`")
        + b"`"
    )

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
    """Any other statement. `output_format` is the one that its FORMAT clause names."""

    verb: str
    output_format: str | None = None


class Unfinished(Exception):
    """More bytes are needed to tell where the statement ends."""


def first_word(sql: bytes) -> str:
    """The statement's first word in upper case, past comments and opening brackets."""
    for token in tokens(sql):
        if token.text != b"(":
            return token.word.decode("ascii", "replace")
    return ""


def read_insert(sql: bytes, *, complete: bool) -> Insert | None:
    """The INSERT at the start of `sql`, or None when its rows do not come with the request.

    Raises Unfinished when `complete` is false and the place where the data begins is not in `sql`.
    """
    found = _find_insert(sql)
    if found is None or (not complete and found.data_start >= len(sql)):
        if not complete:
            raise Unfinished
        return found
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
    verb, output_format, previous = "", None, None
    for token in tokens(sql):
        if not verb and token.text != b"(":
            verb = token.word.decode("ascii", "replace")
        if token.depth == 0 and token.kind == "word" and previous is not None:
            if previous.word == b"FORMAT":
                output_format = token.text.decode()
        previous = token
    return Statement(verb, output_format)


def quote(text: str | bytes) -> bytes:
    """`text` as a string literal."""
    raw = text.encode() if isinstance(text, str) else text
    return b"'" + raw.replace(b"\\", b"\\\\").replace(b"'", b"\\'") + b"'"


def quote_name(name: str) -> bytes:
    """`name` as an identifier."""
    return b"`" + name.encode().replace(b"\\", b"\\\\").replace(b"`", b"\\`") + b"`"

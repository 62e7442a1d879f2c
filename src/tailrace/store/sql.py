"""Cuts a file of SQL into its statements, minding quotes and comments."""

import re
from collections.abc import Iterator

# What a semicolon may hide in: '…' and its escapes, `…`, "…", -- …, # …, /* … */.
_PIECE = re.compile(
    r"""
      '(?:[^'\\]|\\.|'')*'
    | `(?:[^`\\]|\\.)*`
    | "(?:[^"\\]|\\.)*"
    | --[^\n]*
    | \#[!\s][^\n]*
    | /\*.*?\*/
    | ;
    """,
    re.VERBOSE | re.DOTALL,
)


def split_statements(text: str) -> Iterator[str]:
    """The statements of `text` without their semicolons; comments alone are no statement."""
    start = 0
    for piece in _PIECE.finditer(text):
        if piece.group() == ";":
            if has_code(text[start : piece.start()]):
                yield text[start : piece.start()].strip()
            start = piece.end()
    if has_code(text[start:]):
        yield text[start:].strip()


def has_code(text: str) -> bool:
    """Whether there is anything but white space and comments."""
    return bool(_PIECE.sub(_without_comment, text).strip())


def _without_comment(piece: re.Match[str]) -> str:
    return "" if piece.group().startswith(("--", "#", "/*")) else piece.group()

"""Lays JSON out over lines without changing it.

It is not read and written anew: numbers beyond 64 bits, the digits of fractions and names that stand
twice would be lost.
"""

import json
import re
from typing import Final

MOST_DEPTH: Final = 20
"""Deeper ones stay as they are: indents would take many times their text."""

_MARK: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,]|[^\s{}\[\]:,"]+', re.DOTALL)
_OPENING: Final = frozenset("{[")
_CLOSING: Final = frozenset("}]")


def pretty_json(text: str) -> str | None:
    """An object or a list over several lines; None for what is neither, or too deep."""
    if text.lstrip()[:1] not in _OPENING:
        return None
    try:
        json.loads(text, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return None
    pieces: list[str] = []
    depth = 0
    before = ""
    for mark in _MARK.findall(text):
        is_closing = mark in _CLOSING
        depth -= is_closing
        if before == "," or (before in _OPENING) != is_closing:
            pieces.append("\n" + "  " * depth)
        pieces.append(": " if mark == ":" else mark)
        if mark in _OPENING:
            depth += 1
            if depth > MOST_DEPTH:
                return None
        before = mark
    return "".join(pieces)

"""Parses JSON that anybody may have written.

Invalid UTF-8 becomes U+FFFD. Beyond that nothing gets in that could harm what follows: nesting
deeper than 100 is refused (VRL ends the process on very deep values), and an integer beyond 64 bits
is kept as text (`12345678901234567890` becomes `"12345678901234567890"`) where Vector would round
it to a float.
"""

import json
import re
from collections.abc import Sequence
from contextlib import suppress
from reprlib import Repr
from typing import Any

import orjson

from tailrace.collect.codec import DecodeError

MAX_DEPTH = 100
"""Deepest nesting of objects and arrays that a text may have."""

MOST_SHOWN = 65_536
"""Bytes that are kept of what cannot be written as JSON."""

_INT64 = range(-(2**63), 2**63)

_ZEROS = b"0" * 19
_AS_ZEROS = bytes.maketrans(b"123456789", b"000000000")
_LONG_INTEGER = re.compile(rb"(?:\A|[\s:,\[-])([0-9]{19,})")
"""Digits that may be a number: those of an identifier stand behind a quote or a letter."""


def parse_json(text: bytes) -> Any:
    """The value that the text is; raises DecodeError with the reason."""
    value = _parse(text)
    if text.count(b"[") + text.count(b"{") > MAX_DEPTH and _deeper_than(value, MAX_DEPTH):
        raise DecodeError(f"JSON nested deeper than {MAX_DEPTH} levels")
    if holds_long_integer(text):
        value = json.loads(text.decode("utf-8", "replace"), parse_int=_int_or_text)
    return value


def holds_long_integer(text: bytes) -> bool:
    """Whether there may be an integer beyond 64 bits; where not, there is none."""
    # All digits made zeros and one search: a third of the time of a search for any digits.
    if _ZEROS not in text.translate(_AS_ZEROS):
        return False
    return any(
        len(digits) > len(_ZEROS) or int(digits) not in _INT64
        for digits in _LONG_INTEGER.findall(text)
    )


def is_read_otherwise(text: bytes, objects: Sequence[bytes]) -> bool:
    """Whether `parse_json` may refuse, or keep as text, what another parser takes as it is.

    `text` is all of `objects`, with a newline between two.
    """
    brackets = text.count(b"{") + text.count(b"[")
    if brackets >= len(objects) + MAX_DEPTH and any(
        each.count(b"{") + each.count(b"[") > MAX_DEPTH for each in objects
    ):
        return True
    return holds_long_integer(text)


def show(value: Any) -> bytes:
    """A value as JSON; one that is nested too deep for that, as Python writes it, its depth cut."""
    try:
        return orjson.dumps(value)
    except TypeError:
        shown = Repr()
        shown.maxlevel = MAX_DEPTH
        shown.maxlist = shown.maxdict = shown.maxstring = shown.maxother = MOST_SHOWN
        return shown.repr(value).encode("utf-8", "replace")[:MOST_SHOWN]


def _parse(text: bytes) -> Any:
    with suppress(orjson.JSONDecodeError):
        return orjson.loads(text)
    try:
        return orjson.loads(text.decode("utf-8", "replace"))
    except orjson.JSONDecodeError as error:
        raise DecodeError(f"not JSON: {error}") from error


def _int_or_text(digits: str) -> int | str:
    return int(digits) if len(digits) <= 20 and int(digits) in _INT64 else digits


def _deeper_than(value: Any, limit: int) -> bool:
    """Whether `value` has more than `limit` levels, without recursion."""
    level: list[Any] = [value]
    for _ in range(limit + 1):
        level = [
            child
            for parent in level
            if isinstance(parent, dict | list)
            for child in (parent.values() if isinstance(parent, dict) else parent)
        ]
        if not level:
            return False
    return True

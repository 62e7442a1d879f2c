"""Cursors: places in a sorted result, as opaque text for URLs.

A cursor holds the order that it belongs to, the direction to go, and the sort key to start from,
which it either leaves out or includes. With `skip` it starts inside a group of rows that share that
whole key, of which so many are left out (docs/decisions/002-paging.md).

The text is URL-safe base64 of JSON behind a checksum. The checksum tells a damaged cursor from a
good one; it is no secret, and nothing rests on it: every value in a cursor is a bound parameter.
"""

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import Final, Literal

import orjson

from tailrace.errors import QueryError

Direction = Literal["older", "newer"]
KeyValue = str | int | float

_CHECKSUM_BYTES: Final = 6
_MAX_CHARACTERS: Final = 2_000
_MAX_SKIP: Final = 100_000_000


@dataclass(frozen=True, slots=True)
class Cursor:
    """From `key` on: `older` goes down the page's order, `newer` up."""

    order: str
    direction: Direction
    key: tuple[KeyValue, ...]
    inclusive: bool = False
    skip: int = 0

    def encode(self) -> str:
        """The cursor as text."""
        payload = orjson.dumps([self.order, self.direction, self.key, self.inclusive, self.skip])
        return base64.urlsafe_b64encode(_checksum(payload) + payload).decode().rstrip("=")


def decode_cursor(text: str) -> Cursor:
    """The cursor that `encode` gave; QueryError for any other text."""
    try:
        return _decode(text)
    except (ValueError, binascii.Error, TypeError) as error:
        shown = text if len(text) <= 60 else f"{text[:60]}…"
        raise QueryError(
            f"cannot use the cursor {shown!r}: it is not one that was given out, or it was cut. "
            "Take `next` or `prev` of an answer as it is"
        ) from error


def _decode(text: str) -> Cursor:
    if len(text) > _MAX_CHARACTERS:
        raise ValueError("too long")
    padded = text.encode("ascii") + b"=" * (-len(text) % 4)
    raw = base64.b64decode(padded, b"-_", validate=True)
    payload = raw[_CHECKSUM_BYTES:]
    if raw[:_CHECKSUM_BYTES] != _checksum(payload):
        raise ValueError("wrong checksum")
    order, direction, key, inclusive, skip = orjson.loads(payload)
    if direction not in ("older", "newer") or not isinstance(order, str):
        raise ValueError("no such direction")
    if not isinstance(inclusive, bool):
        raise ValueError("inclusive or not?")
    if not (isinstance(skip, int) and 0 <= skip <= _MAX_SKIP):
        raise ValueError("impossible skip")
    if not all(
        isinstance(value, str | int | float) and not isinstance(value, bool) for value in key
    ):
        raise ValueError("impossible key")
    return Cursor(order, direction, tuple(key), inclusive, skip)


def _checksum(payload: bytes) -> bytes:
    return hashlib.blake2s(payload, digest_size=_CHECKSUM_BYTES).digest()

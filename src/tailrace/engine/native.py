"""The Native format as clients of a given protocol revision expect it.

The engine writes it for revision 0. From revision 1 each block begins with its "block info", and
from 54337 the type of a DateTime column names its time zone.
"""

import re
from collections.abc import Callable

TIME_ZONES_SINCE = 54337

_BLOCK_INFO = b"\x01\x00\x02\xff\xff\xff\xff\x00"
"""Field 1, is_overflows: no. Field 2, bucket_num: -1. End."""

_BARE_DATETIME = b"\x08DateTime"
_ZONED = re.compile(r"DateTime\('[^']*'\)")


class NativeFraming:
    """Turns the engine's blocks into those of a client's revision.

    `column_types` asks for the names and full types of the answer's columns; it is called at most
    once, and only when a block seems to have a DateTime column.
    """

    def __init__(self, revision: int, column_types: Callable[[], list[tuple[str, str]]]) -> None:
        self._revision = revision
        self._column_types = column_types
        self._zoned: list[tuple[bytes, bytes]] | None = None

    def frame(self, block: bytes) -> bytes:
        """One block."""
        if self._revision >= TIME_ZONES_SINCE and _BARE_DATETIME in block:
            block = self._with_time_zones(block)
        return _BLOCK_INFO + block if self._revision else block

    def _with_time_zones(self, block: bytes) -> bytes:
        if self._zoned is None:
            self._zoned = [
                (_text(name) + _BARE_DATETIME, _text(name) + _text(kind))
                for name, kind in self._column_types()
                if _ZONED.fullmatch(kind)
            ]
        for bare, zoned in self._zoned:
            if block.count(bare) == 1:  # more: a value looks like a column's header
                block = block.replace(bare, zoned)
        return block


def _text(value: str) -> bytes:
    raw = value.encode()
    size, prefix = len(raw), bytearray()
    while size > 127:
        prefix.append(size & 127 | 128)
        size >>= 7
    prefix.append(size)
    return bytes(prefix) + raw


def block_rows(block: bytes) -> int:
    """The number of rows that a block of revision 0 says it has."""
    at, numbers = 0, []
    for _ in range(2):
        value = shift = 0
        while True:
            byte = block[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        numbers.append(value)
    return numbers[1]

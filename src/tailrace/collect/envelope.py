"""Frames that each have fields of their own, as messages of Kafka have: one a line.

An envelope is a JSON array in one line:

    [text, base64 of what is no text, peer, milliseconds since 1970 or null, fields]

The frame is either text or base64, whatever bytes it holds. The fields, and the time as the field
`timestamp`, are put over those of the same name in each of the frame's events.
"""

from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson


class Envelope(NamedTuple):
    """What was in a line."""

    frame: bytes
    peer: str
    timestamp_ms: int | None
    fields: Mapping[str, Any]


def pack(frame: bytes, peer: str, timestamp_ms: int | None, fields: Mapping[str, Any]) -> bytes:
    """A line, with its newline."""
    try:
        text, encoded = frame.decode(), ""
    except UnicodeDecodeError:
        text, encoded = "", b64encode(frame).decode()
    return orjson.dumps(
        [text, encoded, peer, timestamp_ms, fields], option=orjson.OPT_APPEND_NEWLINE
    )


def unpack(line: bytes) -> Envelope:
    """What is in a line."""
    text, encoded, peer, timestamp_ms, fields = orjson.loads(line)
    return Envelope(b64decode(encoded) if encoded else text.encode(), peer, timestamp_ms, fields)

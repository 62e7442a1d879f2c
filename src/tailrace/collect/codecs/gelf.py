"""Codec `gelf`: Graylog's messages, as Vector reads them.

`short_message` becomes `message`, `timestamp` (seconds since 1970, with a fraction) a timestamp.
Additional fields keep their underscore; `_id` is dropped, as the format wants it. What the format
does not allow (another version, a missing host, a field without underscore) is refused.
"""

import re
from datetime import UTC, datetime
from typing import Any

import orjson

from tailrace.collect.codec import DecodeError
from tailrace.collect.transform import Event, Timestamp

_STANDARD = frozenset(
    {"version", "host", "short_message", "full_message", "timestamp", "level"}
    | {"facility", "line", "file"}
)
_NAME = re.compile(r"_[\w.\-]*")


def decode_gelf(line: bytes) -> list[Event]:
    """The event of one message; raises DecodeError with the reason."""
    message = _parse(line.rstrip(b"\0"))
    if message.get("version") not in ("1.1", "1.0"):
        raise DecodeError(f"not GELF: its version is {message.get('version')!r}, not '1.1'")
    for name in ("host", "short_message"):
        if not isinstance(message.get(name), str):
            raise DecodeError(f"not GELF: it has no text {name!r}")
    event: Event = {}
    for name, value in message.items():
        if name not in _STANDARD and not _NAME.fullmatch(name):
            raise DecodeError(f"not GELF: the field {name!r} does not begin with an underscore")
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise DecodeError(f"not GELF: the field {name!r} is neither text nor a number")
        if name != "_id":
            event[name] = value
    event["message"] = event.pop("short_message")
    if "timestamp" in event:
        event["timestamp"] = _as_timestamp(event["timestamp"])
    return [event]


def _parse(text: bytes) -> dict[str, Any]:
    try:
        message = orjson.loads(text.decode("utf-8", "replace"))
    except orjson.JSONDecodeError as error:
        raise DecodeError(f"not JSON: {error}") from error
    if not isinstance(message, dict):
        raise DecodeError("not GELF: not a JSON object")
    return message


def _as_timestamp(value: Any) -> Timestamp:
    try:
        nanoseconds = round(float(value) * 1e6) * 1000
        moment = datetime.fromtimestamp(nanoseconds // 10**9, UTC)
    except (TypeError, ValueError, OverflowError, OSError) as error:
        raise DecodeError(f"not GELF: {value!r} is no timestamp") from error
    return Timestamp(moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{nanoseconds % 10**9 // 1000:06d}Z")

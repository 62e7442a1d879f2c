"""Codec `json`: a frame is one JSON object, or an array of them.

As in Vector an empty frame is no event, an array is as many events as it has objects, and invalid
UTF-8 becomes U+FFFD. (What is refused or kept as text: `tailrace.collect.json_text`.)
"""

from typing import Any

from tailrace.collect.codec import DecodeError
from tailrace.collect.json_text import parse_json
from tailrace.collect.transform import Event


def decode_json(line: bytes) -> list[Event]:
    """The events of one frame; raises DecodeError with the reason."""
    text = line.strip()
    if not text:
        return []
    value = parse_json(text)
    events = value if isinstance(value, list) else [value]
    for event in events:
        if not isinstance(event, dict):
            raise DecodeError(f"not a JSON object but {_kind(event)}")
    return events


def _kind(value: Any) -> str:
    names = {str: "a string", list: "an array", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")

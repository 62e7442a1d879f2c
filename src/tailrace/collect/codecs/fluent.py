"""Codec `fluent`: a line is an entry of the forward protocol as JSON, `[time, tag, record]`.

The record's fields are the event's, with `tag` and `timestamp` where it has none of these itself.
"""

from tailrace.collect.codec import DecodeError
from tailrace.collect.json_text import parse_json
from tailrace.collect.transform import Event, Timestamp


def decode_fluent(line: bytes) -> list[Event]:
    """The event of one entry; raises DecodeError with the reason."""
    entry = parse_json(line)
    if not isinstance(entry, list) or len(entry) != 3:
        raise DecodeError("not an entry: it has no time, tag and record")
    time, tag, record = entry
    if not isinstance(time, str) or not isinstance(record, dict):
        raise DecodeError("not an entry: its time is no text, or its record no object")
    return [{"timestamp": Timestamp(time), "tag": tag, **record}]

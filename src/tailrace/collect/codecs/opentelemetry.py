"""Codec `opentelemetry`: a frame is an OTLP request of logs in protobuf, or one event as JSON.

Events begin with a brace, which no protobuf of such a request does. The source has judged each frame
already and has made the events' lines itself (`tailrace.collect.otlp_json`), with all that the
pipeline adds to others: this codec only tells their timestamps from text again.
"""

import re

import orjson

from tailrace.collect.codec import DecodeError
from tailrace.collect.otlp import parse_protobuf, protobuf_events
from tailrace.collect.transform import Event, Timestamp

_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{1,9}Z")


def decode_opentelemetry(frame: bytes) -> list[Event]:
    """The events of one frame; raises DecodeError with the reason."""
    if not frame.startswith(b"{"):
        return list(protobuf_events(parse_protobuf(frame)))
    try:
        event: Event = orjson.loads(frame)
    except orjson.JSONDecodeError as error:
        raise DecodeError(f"not JSON: {error}") from error
    for name in ("timestamp", "observed_timestamp"):
        value = event.get(name)
        if isinstance(value, str) and _TIME.fullmatch(value):
            event[name] = Timestamp(value)
    return [event]

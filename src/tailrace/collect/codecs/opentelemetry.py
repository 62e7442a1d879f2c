"""Codec `opentelemetry`: a whole OTLP request of logs, in protobuf or in JSON, is one frame.

Frames in JSON begin with a brace, which no protobuf of such a request does. (The events:
`tailrace.collect.otlp`.) The source has judged each frame already: this one only takes it apart.
"""

from tailrace.collect.codec import DecodeError
from tailrace.collect.otlp import parse_protobuf, protobuf_events, read_json
from tailrace.collect.transform import Event


def decode_opentelemetry(frame: bytes) -> list[Event]:
    """The events of one request; raises DecodeError with the reason."""
    if not frame.startswith(b"{"):
        return list(protobuf_events(parse_protobuf(frame)))
    logs = read_json(frame)
    if logs.rejected:
        raise DecodeError(logs.rejected[0][1])
    return logs.events

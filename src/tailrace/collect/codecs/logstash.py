"""Codec `logstash`: a line is one event as Beats and Logstash write it, a JSON object.

Its `@timestamp` is the event's `timestamp` as well, where it is a time of RFC 3339.
"""

import re
from datetime import UTC, datetime

from tailrace.collect.codec import DecodeError
from tailrace.collect.json_text import parse_json
from tailrace.collect.transform import Event, Timestamp

_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})"
)


def decode_logstash(line: bytes) -> list[Event]:
    """The event of one line; raises DecodeError with the reason."""
    event = parse_json(line)
    if not isinstance(event, dict):
        raise DecodeError("not an event of Logstash: it is no JSON object")
    time = event.get("@timestamp")
    found = _TIME.fullmatch(time) if isinstance(time, str) else None
    if found:
        moment, fraction, zone = found.groups()
        try:
            in_utc = datetime.fromisoformat(moment + zone).astimezone(UTC)
        except (ValueError, OverflowError):
            return [event]
        event["timestamp"] = Timestamp(f"{in_utc:%Y-%m-%dT%H:%M:%S}{fraction or ''}Z")
    return [event]

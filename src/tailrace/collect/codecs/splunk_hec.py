"""Codec `splunk_hec`: a line is one of HEC's envelopes. (`tailrace.collect.hec` reads it.)"""

from tailrace.collect.hec import event_of
from tailrace.collect.json_text import parse_json
from tailrace.collect.transform import Event


def decode_splunk_hec(line: bytes) -> list[Event]:
    """The event of one envelope; raises DecodeError with the reason."""
    return [event_of(parse_json(line))]

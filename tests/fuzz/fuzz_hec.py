"""Splunk's envelopes, one behind the other."""

import orjson

from tailrace.collect.codec import DecodeError
from tailrace.collect.codecs import CODECS
from tailrace.collect.hec import read_envelopes
from tests.fuzz.samples import HEC, nested

SEEDS = (*HEC, b'{"event":' + nested(2000) + b"}", b'{"event":"e","time":' + b"9" * 27 + b"}")
GOOD = b'{"event":"good"}'


def fuzz(data: bytes) -> None:
    """Every line is an event; a good envelope before anything is one."""
    for body in (data, GOOD + data, GOOD + b"\n" + data):
        try:
            found = read_envelopes(body)
        except DecodeError:
            continue
        if body is not data:
            assert orjson.loads(found.lines[0])["event"] == "good"
        for line in found.lines:
            assert b"\n" not in line
            orjson.dumps(CODECS["splunk_hec"](line))

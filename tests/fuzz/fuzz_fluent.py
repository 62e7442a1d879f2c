"""The forward protocol: any MessagePack, and what is none."""

import orjson

from tailrace.collect.codecs import CODECS
from tailrace.collect.sources.fluent import new_unpacker, read_message, values_of
from tests.fuzz.samples import FORWARD, forward

SEEDS = FORWARD
GOOD = forward("good")


def fuzz(data: bytes) -> None:
    """Every line is an event; the good one before all others is there."""
    values, _, end = values_of(new_unpacker(), GOOD + data)
    assert end >= len(GOOD)
    lines = [line for value in values if value is not None for line in read_message(value)[0]]
    assert lines[0] == b'["1970-01-01T00:00:01.000000000Z","tag",{"message":"good"}]'
    for line in lines:
        assert b"\n" not in line
        assert orjson.loads(line)
        CODECS["fluent"](line)

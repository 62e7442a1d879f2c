"""GELF: its codec, and the framer that cuts at NUL."""

import orjson

from tailrace.collect.codec import DecodeError
from tailrace.collect.codecs import CODECS
from tailrace.collect.delimited import DelimitedFramer
from tests.fuzz.fuzz_syslog import frames
from tests.fuzz.samples import GELF

SEEDS = (GELF, GELF + b"\0" + GELF + b"\0", GELF.replace(b"1700000000.123", b"1e17"))


def fuzz(data: bytes) -> None:
    """However a stream is cut, the frames are the same; a frame is an event or refused."""
    whole = frames(DelimitedFramer(b"\0", 500), data, max(1, len(data)))
    for step in (1, 7, 64):
        assert frames(DelimitedFramer(b"\0", 500), data, step) == whole
    for frame in (data, *whole[0]):
        try:
            (event,) = CODECS["gelf"](frame)
        except DecodeError:
            continue
        orjson.dumps(event)

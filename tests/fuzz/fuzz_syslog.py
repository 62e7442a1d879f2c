"""Syslog: its codec, and the framer that tells lengths from lines."""

from collections import Counter

from tailrace.collect.codec import DecodeError
from tailrace.collect.codecs import CODECS
from tailrace.collect.octet_counting import SyslogFramer
from tailrace.collect.streams import Framer
from tests.fuzz.samples import SYSLOG

SEEDS = (
    *SYSLOG,
    b"".join(b"%d %s" % (len(message), message) for message in SYSLOG),
    b"\n".join([*SYSLOG, b""]),
    b"7 <0>a\nb\n99999999999 x",
)


def frames(framer: Framer, data: bytes, step: int) -> tuple[Counter[bytes], int]:
    """Complete frames, and the number of those that are too long."""
    found: Counter[bytes] = Counter()
    too_long = 0
    for start in range(0, len(data), step):
        piece = data[start : start + step]
        # As in a source, the buffer is longer than what has come.
        lines = framer.feed(bytearray(piece + b"old\n"), len(piece))
        assert lines.payload.count(b"\n") == lines.count
        found.update(lines.payload.split(b"\n")[:-1])
        found.update(lines.apart)
        too_long += len(lines.too_long)
    last = framer.finish()
    found.update(last.payload.split(b"\n")[:-1])
    found.update(last.apart)
    return found, too_long + len(last.too_long)


def fuzz(data: bytes) -> None:
    """However a stream is cut, the frames are the same; a frame is an event or refused."""
    whole = frames(SyslogFramer(100), data, max(1, len(data)))
    for step in (1, 7, 64):
        assert frames(SyslogFramer(100), data, step) == whole
    for frame in (data, *whole[0]):
        try:
            (event,) = CODECS["syslog"](frame)
        except DecodeError:
            continue
        assert "message" in event

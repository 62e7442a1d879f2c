"""InfluxDB's line protocol."""

import orjson

from tailrace.web.intake.influx_lines import read_lines
from tailrace.web.intake.lines import BadBodyError

GOOD = b"good value=1 1700000000000000000\n"
SEEDS = (
    GOOD,
    b'weather,location=us\\ east,a=b temp=82i,text="a \\"b\\", c",on=t 1465839830100400200\n',
    b"# comment\n\nm,t=1 f=1e400,g=-9223372036854775808i,u=5u\nbroken line\n",
    'm\\,x,ü=ö "fi eld"="²" ²'.encode(),
)


def fuzz(data: bytes) -> None:
    """Every point is a line of JSON; a good one before anything is there."""
    for nanos_per_unit in (1, 10**9):
        try:
            points = read_lines(GOOD + data, nanos_per_unit)
        except BadBodyError:
            continue
        lines = points.payload.split(b"\n")[:-1]
        for line in lines:
            orjson.loads(line)
        assert any(b"good" in line for line in lines) or nanos_per_unit != 1

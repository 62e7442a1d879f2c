"""Loki's push requests, in JSON and in protobuf."""

from tailrace.web.intake.lines import BadBodyError
from tailrace.web.intake.loki_push import read_json, read_protobuf
from tests.fuzz.samples import nested

MOST_BYTES = 100_000
SEEDS = (
    b'{"streams":[{"stream":{"app":"shop"},"values":[["1763808135118000000","no",{"u":"7"}]]}]}',
    b'{"streams":[{"stream":{"a":"b"},"values":[["x","{\\"level\\":\\"error\\"}"],["",""]]}]}',
    b'{"streams":[{"values":[["1",' + nested(900) + b"]]}]}",
    b'{"streams":[{"stream":{"a":' + nested(900) + b'},"values":[["1","x"]]}]}',
    # {app="shop"}, one entry, by Snappy in one literal
    b'"\x84\n \n\x0c{app="shop"}\x12\x10\n\x06\x08\x80\xe8\x92\xca\x06\x12\x06no log',
    b'\x10<\n\x0e\n\x0c{app="sh\\x6fp"}',
)


def fuzz(data: bytes) -> None:
    """Lines, or refused with the reason."""
    for read in (read_json, lambda body: read_protobuf(body, MOST_BYTES)):
        try:
            payload = read(data).payload
        except BadBodyError:
            continue
        assert not payload or payload.endswith(b"\n")
    try:
        # The same without the compression: a length, and all of it as one literal.
        if 0 < len(data) <= 60:
            read_protobuf(bytes([len(data), (len(data) - 1) << 2]) + data, MOST_BYTES)
    except BadBodyError:
        return

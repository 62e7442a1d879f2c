"""Elasticsearch's `_bulk`: any lines, in pairs or not."""

import orjson

from tailrace.web.intake.elasticsearch_bulk import AnswerFilter, read_bulk
from tailrace.web.intake.lines import BadBodyError
from tests.fuzz.samples import nested

GOOD = b'{"create":{}}\n{"message":"good"}\n'
SEEDS = (
    GOOD,
    b'{"index":{"_index":"logs","_id":"7"}}\n{"message":"m"}\n{"delete":{"_id":1}}\n',
    b'{"create":{"_index":"a\\"b"}}\r\n{ }\r\n{"update":{}}\n{"doc":{}}\n',
    b'{"create":' + nested(300) + b"}\n{}\n",
    b'{"create":{"_id":' + nested(1000) + b"}}\n{}\n",
)


def fuzz(data: bytes) -> None:
    """Every action has its answer; a good document before anything is kept as a line."""
    for wanted in ("", "errors,items.*.status"):
        for body in (data, GOOD + data):
            try:
                bulk = read_bulk(body, "index", AnswerFilter(wanted), "token")
            except BadBodyError:
                continue
            for item in bulk.items:
                orjson.loads(item)
            assert not bulk.payload or bulk.payload.endswith(b"\n")
            if body is not data:
                first = orjson.loads(bulk.payload.split(b"\n")[0])
                assert first["message"] == "good"

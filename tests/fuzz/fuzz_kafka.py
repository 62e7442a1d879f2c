"""What becomes of messages that anybody may have produced."""

from typing import Any

from tailrace.collect.codecs import CODECS
from tailrace.collect.envelope import unpack
from tailrace.collect.sources.kafka.config import KafkaConfig
from tailrace.collect.sources.kafka.messages import renderer
from tests.fuzz.samples import JSON_LINES
from tests.unit.collect_kafka.kafka_support import FakeMessage

SEEDS = (*JSON_LINES, b'{"a":1', b'"b":2},{}', b"one\r\n\ntwo\n")
GOOD = b'{"good":1}'
PLAIN: dict[str, Any] = dict.fromkeys(
    ("key_field", "topic_key", "partition_key", "offset_key", "headers_key"), ""
)


def _config(**options: Any) -> KafkaConfig:
    return KafkaConfig.model_validate(
        {"bootstrap_servers": "127.0.0.1:1", "group_id": "g", "topics": ["t"], **options}
    )


LINES = _config(**PLAIN, decoding={"codec": "json"})
ENVELOPES = _config(framing={"method": "newline_delimited"})


def fuzz(data: bytes) -> None:
    """A good message before and behind anything is there, and each frame is as many as it says."""
    middle = len(data) // 2
    values = (GOOD, data[:middle], data[middle:], data, GOOD)
    messages = [
        FakeMessage(number, value, data, (("h", data), ("none", None)))
        for number, value in enumerate(values)
    ]
    lines = renderer(LINES, CODECS["json"])(messages)
    for part in lines:
        assert part.payload.count(b"\n") == part.count
        assert part.payload.endswith(b"\n")
    assert sum(part.payload.split(b"\n").count(GOOD) for part in lines) >= 2
    found = [
        unpack(line).frame
        for part in renderer(ENVELOPES, CODECS["json"])(messages)
        for line in part.payload.splitlines()
        if part.enveloped
    ]
    assert found.count(GOOD) >= 2

"""Made-up lines are what their formats say, as many as were asked for."""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from tailrace.clock import SystemClock, utc_now
from tailrace.collect.codecs import CODECS
from tailrace.collect.metrics import Metrics
from tailrace.collect.source import Frames, RejectedLine, SourceContext
from tailrace.collect.sources.demo_logs import FORMATS, DemoLogsConfig, DemoLogsSource
from tailrace.telemetry import new_registry
from tests.unit.collect.support import quiet_log

SHAPES = {
    "apache_common": r'[\d.]+ - \S+ \[[^\]]+ \+0000\] "[A-Z]+ /\S* HTTP/\d\.\d" \d{3} \d+',
    "apache_error": r"\[\w{3} \w{3} \d\d [\d:]{8} \d{4}\] \[\w+:\S+\] \[pid \d+:tid \d+\] \[client .*",
    "bsd_syslog": r"<\d+>\w{3} [ \d]\d [\d:]{8} \S+ \w+\[\d+\]: .+",
    "syslog": r"<\d+>[12] \S+Z \S+ \w+ \d+ ID\d+ - .+",
    "json": r"\{.*\}",
}  # fmt: skip


@dataclass
class Kept:
    """An intake that keeps everything."""

    lines: list[str] = field(default_factory=list)

    async def append(self, frames: Sequence[Frames]) -> None:
        for part in frames:
            assert part.payload.count(b"\n") == part.count
            self.lines += part.payload.decode().splitlines()

    async def reject(self, lines: Sequence[RejectedLine]) -> None:
        raise AssertionError(lines)

    def is_full(self) -> bool:
        return False


async def made(options: dict[str, Any]) -> list[str]:
    kept = Kept()
    component = Metrics(new_registry()).component("in", "source", "demo_logs")
    context = SourceContext("in", kept, CODECS["bytes"], component, quiet_log(), SystemClock())
    config = DemoLogsConfig.model_validate({"interval": 0, **options})
    source = DemoLogsSource(config, context, random.Random(1))
    await source.start()
    await source.finished.wait()
    await source.stop(1)
    return kept.lines


@pytest.mark.parametrize("name", FORMATS)
async def test_lines_look_like_their_format(name: str) -> None:
    lines = await made({"format": name, "count": 2500})
    assert len(lines) == 2500
    assert all(re.fullmatch(SHAPES[name], line) for line in lines)


@pytest.mark.parametrize("name", ["syslog", "bsd_syslog"])
def test_the_codec_reads_what_is_made_up(name: str) -> None:
    chance = random.Random(2)
    for _ in range(200):
        (event,) = CODECS["syslog"](FORMATS[name](chance, utc_now()).encode())
        assert {"timestamp", "hostname", "appname", "procid", "message"} <= event.keys()


def test_json_is_json() -> None:
    assert orjson.loads(FORMATS["json"](random.Random(3), utc_now())).keys() >= {"host", "status"}


async def test_shuffled_lines_with_numbers() -> None:
    options = {"format": "shuffle", "lines": ["a", "b"], "sequence": True, "count": 50}
    lines = await made(options)
    assert [line.split()[0] for line in lines] == [str(number) for number in range(50)]
    assert {line.split()[1] for line in lines} == {"a", "b"}


async def test_lines_with_a_pause() -> None:
    assert len(await made({"format": "json", "interval": 0.001, "count": 3})) == 3


@pytest.mark.parametrize(
    "options",
    [
        {"format": "shuffle"},
        {"format": "shuffle", "lines": []},
        {"format": "json", "lines": ["a"]},
        {"format": "json", "sequence": True},
        {"format": "csv"},
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        DemoLogsConfig.model_validate(options)

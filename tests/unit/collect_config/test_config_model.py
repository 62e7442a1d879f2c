"""What a checked configuration answers."""

from pathlib import Path

import pytest

from tailrace.collect.config import Config, load

PIPELINE = """
sources: {in: {type: stdin}}
transforms:
  first: {type: remap, inputs: [in], source: '.a = 1', drop_on_error: true, reroute_dropped: true}
  second: {type: remap, inputs: [first.dropped], source: '.a = 1'}
  third: {type: filter, inputs: [second], condition: 'true'}
sinks:
  out: {type: clickhouse, inputs: [first, third], endpoint: "http://127.0.0.1:8123", table: t}
  unix:
    type: clickhouse
    inputs: [in]
    endpoint: http://127.0.0.1:8123
    table: t
    encoding: {timestamp_format: unix_ms}
"""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    path = tmp_path / "vector.yaml"
    path.write_text(PIPELINE)
    return load([path])


def test_order_and_consumers(config: Config) -> None:
    assert config.order == ("first", "second", "third")
    assert config.consumers("first") == ("out",)
    assert config.consumers("first.dropped") == ("second",)
    assert config.consumed_outputs("first") == {"dropped"}
    assert config.consumed_outputs("second") == set()


def test_who_wants_timestamps(config: Config) -> None:
    wants = {name for name in ("in", *config.order) if config.wants_timestamps(name)}
    # `first` and `third` feed only a sink that writes text, for what `first` drops goes on as it
    # came; `in` feeds a sink that writes numbers.
    assert wants == {"in", "second"}

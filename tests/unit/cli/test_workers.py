"""What further collectors run: sources that can be shared, and what these feed."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tailrace.cli._workers import shared_part, worker_settings, write_shared_parts
from tailrace.errors import UsageError
from tailrace.settings import Settings

PIPELINE: dict[str, Any] = {
    "timezone": "UTC",
    "sources": {"queue": {"type": "kafka"}, "tcp": {"type": "socket"}},
    "transforms": {
        "last": {"type": "remap", "inputs": ["first.dropped", "tcp"]},
        "first": {"type": "remap", "inputs": ["que*"]},
        "other": {"type": "remap", "inputs": ["tcp"]},
    },
    "sinks": {
        "one": {"type": "console", "inputs": ["last", "other"]},
        "two": {"type": "console", "inputs": ["other"]},
    },
    "tests": [{"name": "of what is not there"}],
}


def test_what_shared_sources_feed_is_kept_and_nothing_else() -> None:
    assert shared_part(PIPELINE) == {
        "timezone": "UTC",
        "sources": {"queue": {"type": "kafka"}},
        "transforms": {
            "first": {"type": "remap", "inputs": ["que*"]},
            "last": {"type": "remap", "inputs": ["first.dropped"]},
        },
        "sinks": {"one": {"type": "console", "inputs": ["last"]}},
    }


def test_a_component_keeps_every_input_that_is_fed_in_the_order_of_the_file() -> None:
    pipeline = {
        "sources": {"queue": {"type": "kafka"}},
        "transforms": {"made": {"inputs": ["queue"]}},
        "sinks": {"out": {"inputs": ["made", "queue", "gone"]}},
    }
    part = shared_part(pipeline)
    assert part is not None
    assert part["sinks"] == {"out": {"inputs": ["made", "queue"]}}


def test_a_pipeline_without_such_a_source_has_no_part() -> None:
    assert shared_part({"sources": {"tcp": {"type": "socket"}}, "sinks": {}}) is None


def test_where_nothing_can_be_shared_workers_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "logs.yaml"
    path.write_text(yaml.safe_dump({"sources": {"tcp": {"type": "socket"}}}))
    with pytest.raises(UsageError, match="none of them reads from Kafka"):
        write_shared_parts([path], tmp_path / "worker")


def test_each_worker_has_a_folder_and_a_port_of_its_own(tmp_path: Path) -> None:
    settings = Settings.read(data_dir=tmp_path, workers=3, collector_port=9002)
    assert [(own.data_dir, own.collector_port) for own in worker_settings(settings)] == [
        (tmp_path / "workers" / "2", 9012),
        (tmp_path / "workers" / "3", 9022),
    ]
    assert worker_settings(Settings.read(data_dir=tmp_path)) == []
    path = tmp_path / "queue.yaml"
    path.write_text(yaml.safe_dump(PIPELINE))
    [written] = write_shared_parts([path], tmp_path / "worker")
    assert yaml.safe_load(written.read_text()) == shared_part(PIPELINE)
    assert written.stat().st_mode & 0o077 == 0

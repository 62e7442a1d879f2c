"""What workers divide among them, and what further collectors run."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tailrace.cli._workers import (
    REMEMBERING,
    divide,
    part_of,
    write_parts,
)
from tailrace.collect.stateful import StatefulConfig
from tailrace.collect.transforms import TRANSFORMS
from tailrace.collectors import addresses, known_workers, started_workers, worker_settings
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
OF_QUEUE: dict[str, Any] = {
    "timezone": "UTC",
    "sources": {"queue": {"type": "kafka"}},
    "transforms": {
        "first": {"type": "remap", "inputs": ["que*"]},
        "last": {"type": "remap", "inputs": ["first.dropped"]},
    },
    "sinks": {"one": {"type": "console", "inputs": ["last"]}},
}
LINES: dict[str, Any] = {
    "sources": {"tcp": {"type": "socket"}},
    "sinks": {"out": {"type": "console", "inputs": ["tcp"]}},
}


def with_transform(kind: str) -> dict[str, Any]:
    return {
        "sources": {"file": {"type": "file"}},
        "transforms": {"made": {"type": kind, "inputs": ["file"]}},
        "sinks": {"out": {"type": "console", "inputs": ["made"]}},
    }


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.read(data_dir=tmp_path / "data", workers=3, collector_port=9002)


def written(folder: Path, **pipelines: dict[str, Any]) -> list[Path]:
    paths = []
    for name, pipeline in pipelines.items():
        path = folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump(pipeline))
        paths.append(path)
    return paths


def test_what_shared_sources_feed_is_kept_and_nothing_else() -> None:
    assert part_of(PIPELINE, {"queue"}) == OF_QUEUE


def test_a_component_keeps_every_input_that_is_fed_in_the_order_of_the_file() -> None:
    pipeline = {
        "sources": {"queue": {"type": "kafka"}},
        "transforms": {"made": {"inputs": ["queue"]}},
        "sinks": {"out": {"inputs": ["made", "queue", "gone"]}},
    }
    assert part_of(pipeline, {"queue"})["sinks"] == {"out": {"inputs": ["made", "queue"]}}


def test_collectors_share_kafka_processes_share_transforms_and_the_rest_is_left(
    tmp_path: Path,
) -> None:
    paths = written(
        tmp_path, chains=OF_QUEUE, files=with_transform("remap"), logs=LINES, both=PIPELINE
    )
    division = divide(paths, 3)
    assert division.shared == {"chains": OF_QUEUE, "both": OF_QUEUE}
    assert division.transformed == ("files", "both")
    assert division.undivided == ("logs",)
    assert division.describe(3) == (
        "3 collectors share what chains and both reads from Kafka; "
        "3 processes run the transforms of files and both; logs: nothing to divide"
    )


@pytest.mark.parametrize("pipeline", [LINES, with_transform("dedupe"), {"sources": {}}])
def test_where_nothing_can_be_divided_workers_are_refused(
    tmp_path: Path, pipeline: dict[str, Any]
) -> None:
    paths = written(tmp_path, logs=pipeline)
    with pytest.raises(UsageError, match="the work of logs among 3 workers.*BOOTSTRAP_SERVERS"):
        divide(paths, 3, lacks_brokers=True)
    with pytest.raises(UsageError, match=r"Leave out --workers \(TAILRACE_WORKERS\)$"):
        divide(paths, 3)


def test_the_transforms_that_remember_are_those_of_the_registry() -> None:
    remembering = {name for name, one in TRANSFORMS.items() if issubclass(one, StatefulConfig)}
    assert remembering == REMEMBERING


def test_each_worker_has_a_folder_a_port_and_a_name_of_its_own(
    settings: Settings, tmp_path: Path
) -> None:
    data = settings.data_dir
    assert [
        (number, own.data_dir, own.collector_port) for number, own in worker_settings(settings)
    ] == [(2, data / "workers" / "2", 9012), (3, data / "workers" / "3", 9022)]
    assert list(worker_settings(Settings.read(data_dir=data))) == []
    parts = write_parts(settings, divide(written(tmp_path, queue=PIPELINE), 3))
    assert list(parts) == [2, 3]
    [path] = parts[3]
    assert path == data / "workers" / "3" / "pipelines" / "queue.yaml"
    assert path.stat().st_mode & 0o077 == 0
    part = yaml.safe_load(path.read_text())
    assert part["sources"]["queue"].pop("librdkafka_options") == {"client.id": "tailrace-3"}
    assert part == OF_QUEUE


def test_options_of_the_client_stay_and_its_name_gets_the_number(
    settings: Settings, tmp_path: Path
) -> None:
    options = {"client.id": "ours", "client.rack": "a", "group.instance.id": "static"}
    source = {"type": "kafka", "librdkafka_options": options}
    paths = written(tmp_path, queue={**OF_QUEUE, "sources": {"queue": source}})
    [path] = write_parts(settings, divide(paths, 3))[2]
    kept = yaml.safe_load(path.read_text())["sources"]["queue"]["librdkafka_options"]
    assert kept == {
        "client.id": "ours-2",
        "client.rack": "a",
        "group.instance.id": "static-2",
    }


def test_workers_that_are_not_started_any_more_are_known_but_not_started(
    settings: Settings, tmp_path: Path
) -> None:
    paths = written(tmp_path, queue=PIPELINE)
    write_parts(settings, divide(paths, 3))
    assert [number for number, _ in started_workers(settings)] == [2, 3]
    assert addresses(settings) == {
        "collector": "http://127.0.0.1:9002",
        "worker 2": "http://127.0.0.1:9012",
        "worker 3": "http://127.0.0.1:9022",
    }
    fewer = settings.model_copy(update={"workers": 2})
    write_parts(fewer, divide(paths, 2))
    assert [number for number, _ in started_workers(settings)] == [2]
    assert [number for number, _ in known_workers(settings)] == [2, 3]
    assert list(addresses(settings)) == ["collector", "worker 2"]
    assert known_workers(Settings.read(data_dir=tmp_path / "none")) == []


def test_a_collector_at_an_address_of_ipv6_has_it_in_brackets(tmp_path: Path) -> None:
    settings = Settings.read(data_dir=tmp_path, collector_host="::1", collector_port=9002)
    assert addresses(settings) == {"collector": "http://[::1]:9002"}


def test_a_port_beyond_the_last_is_named(settings: Settings) -> None:
    far = settings.model_copy(update={"collector_port": 65520})
    with pytest.raises(UsageError, match="worker 3 would need port 65540"):
        list(worker_settings(far))


@pytest.mark.parametrize("workers", [0, -1, 65, 1000])
def test_a_count_of_workers_that_cannot_be_is_refused(workers: int) -> None:
    with pytest.raises(UsageError, match=f"cannot use TAILRACE_WORKERS={workers}"):
        Settings.read(workers=workers)

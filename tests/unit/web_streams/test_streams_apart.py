"""The process that asks about groups may end, hang or say nonsense: the pages go on."""

import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from tailrace.clock import SystemClock
from tailrace.web.kafka_groups import MovedError, ask
from tailrace.web.streams.apart import Apart

ANSWER = """
import json, os, sys
options = json.loads(sys.stdin.readline())
for line in sys.stdin:
    names = json.loads(line)["names"]
    if "crash" in names and not os.path.exists(options["file"]):
        open(options["file"], "w").close()
        os.abort()
    if "always" in names:
        os.abort()
    if "hang" in names:
        os.read(0, 1)
    told = {name: {"pid": os.getpid(), "text": "x" * 200_000} for name in names}
    print(json.dumps({**told, "silent": None}), flush=True)
"""


@contextmanager
def apart(folder: Path) -> Iterator[Apart]:
    asker = Apart({"file": str(folder / "crashed")}, SystemClock(), (sys.executable, "-c", ANSWER))
    yield asker
    asker.close()


def test_one_process_answers_all_questions(tmp_path: Path) -> None:
    with apart(tmp_path) as asker:
        first = asker.ask(["a", "b"], None, time.monotonic() + 60)
        assert set(first) == {"a", "b"}
        again = asker.ask(["a"], [("t", 0)], time.monotonic() + 60)
        assert again["a"] == first["a"]


def test_another_process_is_asked_when_it_ends(tmp_path: Path) -> None:
    with apart(tmp_path) as asker:
        before = asker.ask(["a"], None, time.monotonic() + 60)["a"]["pid"]
        assert asker.ask(["crash"], None, time.monotonic() + 60)["crash"]["pid"] != before
        assert asker.ask(["always"], None, time.monotonic() + 60) == {}
        assert set(asker.ask(["a"], None, time.monotonic() + 60)) == {"a"}


def test_one_that_does_not_answer_is_ended_in_time(tmp_path: Path) -> None:
    with apart(tmp_path) as asker:
        asker.ask(["a"], None, time.monotonic() + 60)
        assert asker.ask(["hang"], None, time.monotonic() + 0.2) == {}
        assert set(asker.ask(["a"], None, time.monotonic() + 60)) == {"a"}


def answer(result: Any) -> "Future[Any]":
    future = Future[Any]()
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)
    return future


class Admin:
    """Brokers with a group that answers as it is told to."""

    def __init__(self, code: int | None = None) -> None:
        self.code = code

    def describe_consumer_groups(self, names: list[str], **_: float) -> Any:
        if self.code is not None:
            return {name: answer(KafkaException(KafkaError(self.code))) for name in names}
        assigned = SimpleNamespace(topic_partitions=[TopicPartition("a", 0)])
        member = SimpleNamespace(member_id="m", client_id="c", host="/h", assignment=assigned)
        group = SimpleNamespace(
            members=[member],
            state=SimpleNamespace(name="PREPARING_REBALANCING"),
            type=SimpleNamespace(name="CLASSIC"),
            partition_assignor="range",
            coordinator=SimpleNamespace(id=2),
        )
        return {name: answer(group) for name in names}

    def list_consumer_group_offsets(self, asked: list[Any], **_: float) -> Any:
        assert self.code is None, "offsets of a group that was not described are not asked for"
        places = [TopicPartition("a", 0, 5), TopicPartition("a", 1, -1001)]
        found = SimpleNamespace(topic_partitions=places)
        return {one.group_id: answer(found) for one in asked}


def test_what_brokers_tell_of_a_group() -> None:
    told = ask(cast(AdminClient, Admin()), ["g"], None, 1.0)
    assert told == {
        "g": {
            "state": "preparing rebalancing",
            "protocol": "classic",
            "assignor": "range",
            "coordinator": 2,
            "members": [{"id": "m", "client": "c", "host": "h", "assigned": [("a", 0)]}],
            "committed": [("a", 0, 5)],
        }
    }


def test_groups_that_do_not_answer_are_left_out_and_those_that_moved_end_it() -> None:
    silent = cast(AdminClient, Admin(KafkaError.COORDINATOR_LOAD_IN_PROGRESS))
    assert ask(silent, ["g"], None, 1.0) == {"g": None}
    with pytest.raises(MovedError):
        ask(cast(AdminClient, Admin(KafkaError.NOT_COORDINATOR)), ["g"], None, 1.0)

"""What an overview shows of a cluster of which a part does not answer."""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any, cast

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from tailrace.testing import ManualClock
from tailrace.web.streams.asking import MOST_STEP_SECS, Answer, Asking, Place
from tailrace.web.streams.history import History
from tailrace.web.streams.overview import (
    Asked,
    NoSuchTopicError,
    find_topic,
    read_group,
    read_overview,
    read_readers,
)
from tailrace.web.streams.roles import Roles

SILENCE = KafkaException(KafkaError(KafkaError._TIMED_OUT))


def answer(result: Any) -> Answer:
    """What comes later; an exception for what does not."""
    future = Future[Any]()
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)
    return future


def part(leader: int, in_sync: Iterable[int]) -> Any:
    return SimpleNamespace(leader=leader, replicas=[1, 2], isrs=list(in_sync))


class Brokers:
    """Two brokers of KRaft, of which the second can be silent."""

    def __init__(self, *, is_second_there: bool) -> None:
        self.is_there = is_second_there
        self.timeouts: list[float] = []
        in_sync = [1, 2] if is_second_there else [1]
        self._topics = {
            "a": SimpleNamespace(error=None, partitions={0: part(1, in_sync), 1: part(2, in_sync)}),
            "__own": SimpleNamespace(error=None, partitions={0: part(1, in_sync)}),
        }

    def list_topics(self, timeout: float) -> Any:
        self.timeouts.append(timeout)
        brokers = [SimpleNamespace(id=number, host="k", port=number) for number in (1, 2)]
        return SimpleNamespace(
            topics=self._topics,
            brokers={broker.id: broker for broker in brokers},
            controller_id=2,
            cluster_id="c",
        )

    def list_offsets(self, places: dict[TopicPartition, Any], request_timeout: float) -> Any:
        self.timeouts.append(request_timeout)
        return {
            place: answer(
                SimpleNamespace(offset=7) if self.is_there or place.partition == 0 else SILENCE
            )
            for place in places
        }

    def list_consumer_groups(self, request_timeout: float) -> Answer:
        self.timeouts.append(request_timeout)
        errors = [] if self.is_there else [SILENCE]
        return answer(SimpleNamespace(valid=[SimpleNamespace(group_id="g")], errors=errors))

    def ask(
        self, names: Sequence[str], only: Sequence[Place] | None, until: float
    ) -> Mapping[str, Any]:
        assert (only, until) in ((None, 5.0), ([("a", 0), ("a", 1)], 5.0), ([("__own", 0)], 5.0))
        told = {
            "state": "stable",
            "protocol": "classic",
            "assignor": "range",
            "coordinator": 2,
            "members": [{"id": "m", "client": "c", "host": "h", "assigned": [("a", 0)]}],
            "committed": [("a", 0, 5)],
        }
        return dict.fromkeys(names, told) if self.is_there else {}

    def describe_configs(self, resources: list[Any], **_: float) -> dict[Any, Answer]:
        values = {"process.roles": "broker,controller", "controller.quorum.voters": "1@k:9"}
        entries = {name: SimpleNamespace(value=value) for name, value in values.items()}
        is_known = self.is_there or resources[0].name == "1"
        return {resources[0]: answer(entries if is_known else SILENCE)}


def asking(brokers: Brokers) -> Asking:
    return Asking(cast(AdminClient, brokers), ManualClock(), 5.0, brokers)


def test_everything_is_shown_where_all_answer() -> None:
    found = read_overview(asking(Brokers(is_second_there=True)), Asked(), History(), Roles())
    assert [topic.name for topic in found.topics] == ["a"]
    assert (found.hidden, found.quorum, found.health.out_of_sync) == (1, "1@k:9", 0)
    assert [broker.is_controller for broker in found.brokers] == [True, True]
    [group] = found.groups
    assert (group.state, group.coordinator, group.lag) == ("stable", 2, 2)
    assert [(lag.partition, lag.client, lag.lag) for lag in group.partitions] == [(0, "c", 2)]
    assert found.has_all_groups


def test_what_does_not_answer_is_missing_in_its_place() -> None:
    brokers = Brokers(is_second_there=False)
    found = read_overview(asking(brokers), Asked(with_internal=True), History(), Roles())
    assert [topic.name for topic in found.topics] == ["__own", "a"]
    assert [part.end for part in found.topics[1].partitions] == [7, None]
    assert [part.messages for part in found.topics[1].partitions] == [0, None]
    assert (found.health.partitions, found.health.out_of_sync) == (3, 3)
    assert [broker.is_controller for broker in found.brokers] == [True, False]
    [group] = found.groups
    assert (group.state, group.members, group.partitions) == ("unknown", (), ())
    assert not found.has_all_groups
    # one that is away may not take the time of the others
    assert all(secs <= MOST_STEP_SECS for secs in brokers.timeouts[2:])


def test_nothing_is_asked_of_what_is_not_shown() -> None:
    found = read_overview(
        asking(Brokers(is_second_there=True)), Asked(topics=0, groups=0), History(), Roles()
    )
    assert (found.topics, found.groups, found.topic_names.total) == ((), (), 1)


def test_who_reads_a_topic() -> None:
    readers = read_readers(asking(Brokers(is_second_there=True)), "a")
    assert [group.name for group in readers.groups] == ["g"]
    assert read_readers(asking(Brokers(is_second_there=True)), "__own").groups == ()


def test_a_group_that_no_broker_told_of_may_still_be_there() -> None:
    assert read_group(asking(Brokers(is_second_there=True)), "other") is None
    with pytest.raises(TimeoutError):
        read_group(asking(Brokers(is_second_there=False)), "other")


def test_a_topic_is_never_made_by_asking_for_it() -> None:
    brokers = Brokers(is_second_there=True)
    with pytest.raises(NoSuchTopicError, match="cannot find the topic 'b'"):
        find_topic(asking(brokers), "b")  # all topics are listed: the brokers never hear the name
    assert brokers.timeouts == [5.0]

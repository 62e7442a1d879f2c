"""Brokers, topics and groups at one moment, from the admin API.

Topics of Kafka's own (`__consumer_offsets`) are left out. What a single partition or group does not
answer is missing in its place; only what the brokers together do not answer is an error.
"""

import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

RATE_SECS: Final = 60
MOST_GROUPS: Final = 50
"""Groups whose offsets are asked for, each by itself."""

_EARLIEST: Final = OffsetSpec.earliest()  # type: ignore[no-untyped-call]
_LATEST: Final = OffsetSpec.latest()  # type: ignore[no-untyped-call]

Place = tuple[str, int]
"""A topic and one of its partitions."""


@dataclass(frozen=True)
class Broker:
    """A member of the cluster."""

    id: int
    address: str
    is_controller: bool


@dataclass(frozen=True)
class Partition:
    """A part of a topic; the offset of its first message, and that after its last one."""

    number: int
    leader: int
    replicas: tuple[int, ...]
    in_sync: tuple[int, ...]
    first: int | None
    end: int | None
    per_sec: float | None
    """Messages a second within the last minute."""

    @property
    def messages(self) -> int | None:
        """How many offsets it has; compaction may have taken some of the messages."""
        return None if self.first is None or self.end is None else self.end - self.first


@dataclass(frozen=True)
class Topic:
    """A topic with its partitions."""

    name: str
    partitions: tuple[Partition, ...]

    @property
    def messages(self) -> int:
        """Of all partitions that answered."""
        return sum(part.messages or 0 for part in self.partitions)

    @property
    def per_sec(self) -> float:
        """Messages a second, of all partitions that answered."""
        return sum(part.per_sec or 0.0 for part in self.partitions)

    @property
    def out_of_sync(self) -> int:
        """Partitions that are not on all of their brokers."""
        return sum(len(part.in_sync) < len(part.replicas) for part in self.partitions)


@dataclass(frozen=True)
class Lag:
    """How far a group has come with a partition; `client` reads it now."""

    topic: str
    partition: int
    committed: int
    end: int | None
    client: str

    @property
    def lag(self) -> int | None:
        """Messages that are not committed."""
        return None if self.end is None else max(self.end - self.committed, 0)


@dataclass(frozen=True)
class Member:
    """Who reads in a group, and how many partitions."""

    id: str
    client: str
    host: str
    partitions: int


@dataclass(frozen=True)
class Group:
    """A consumer group."""

    name: str
    state: str
    members: tuple[Member, ...]
    partitions: tuple[Lag, ...]

    @property
    def lag(self) -> int:
        """Messages that are not committed, in all partitions that are known."""
        return sum(part.lag or 0 for part in self.partitions)


@dataclass(frozen=True)
class Overview:
    """Everything at one moment."""

    cluster: str
    brokers: tuple[Broker, ...]
    topics: tuple[Topic, ...]
    groups: tuple[Group, ...]

    def topic(self, name: str) -> Topic | None:
        """The topic of this name."""
        return next((topic for topic in self.topics if topic.name == name), None)


def read_overview(admin: AdminClient, timeout_secs: float) -> Overview:
    """Ask the brokers; KafkaException when they do not answer."""
    found = admin.list_topics(timeout=timeout_secs)
    ours = {name: topic for name, topic in found.topics.items() if not name.startswith("__")}
    places = [(name, number) for name, topic in ours.items() for number in topic.partitions]
    first = _offsets(admin, places, _EARLIEST, timeout_secs)
    end = _offsets(admin, places, _LATEST, timeout_secs)
    minute_ago = OffsetSpec.for_timestamp(int((time.time() - RATE_SECS) * 1000))
    then = _offsets(admin, places, minute_ago, timeout_secs)
    topics = [
        Topic(
            name,
            tuple(
                Partition(
                    number,
                    part.leader,
                    tuple(part.replicas),
                    tuple(part.isrs),
                    first.get((name, number)),
                    end.get((name, number)),
                    _per_sec(then.get((name, number)), end.get((name, number))),
                )
                for number, part in sorted(topic.partitions.items())
            ),
        )
        for name, topic in sorted(ours.items())
    ]
    brokers = [
        Broker(broker.id, f"{broker.host}:{broker.port}", broker.id == found.controller_id)
        for broker in sorted(found.brokers.values(), key=lambda one: one.id)
    ]
    groups = _groups(admin, end, timeout_secs)
    cluster: Any = found.cluster_id  # the stubs say that there is none
    return Overview(cluster or "", tuple(brokers), tuple(topics), tuple(groups))


def _offsets(
    admin: AdminClient, places: Iterable[Place], spec: OffsetSpec, timeout_secs: float
) -> dict[Place, int]:
    """The offset of each partition that answers; -1 is that of a time after its last message."""
    asked = {TopicPartition(topic, number): spec for topic, number in places}
    if not asked:
        return {}
    answers = admin.list_offsets(asked, request_timeout=timeout_secs)
    offsets = {}
    for place, answer in answers.items():
        result = _result(answer, timeout_secs)
        if result is not None:
            offsets[place.topic, place.partition] = int(result.offset)
    return offsets


def _per_sec(then: int | None, end: int | None) -> float | None:
    if then is None or end is None:
        return None
    return 0.0 if then < 0 else (end - then) / RATE_SECS


def _groups(admin: AdminClient, ends: Mapping[Place, int], timeout_secs: float) -> list[Group]:
    listed = admin.list_consumer_groups(request_timeout=timeout_secs).result(timeout_secs)
    names = sorted(group.group_id for group in listed.valid)[:MOST_GROUPS]
    if not names:
        return []
    described = admin.describe_consumer_groups(names, request_timeout=timeout_secs)
    committed = {
        name: admin.list_consumer_group_offsets(
            [ConsumerGroupTopicPartitions(name)], request_timeout=timeout_secs
        )[name]
        for name in names
    }
    return [
        _group(
            name,
            _result(described[name], timeout_secs),
            _result(committed[name], timeout_secs),
            ends,
        )
        for name in names
    ]


def _group(name: str, description: Any, committed: Any, ends: Mapping[Place, int]) -> Group:
    members, readers = [], {}
    for member in description.members if description else ():
        assigned = member.assignment.topic_partitions if member.assignment else []
        members.append(Member(member.member_id, member.client_id, member.host, len(assigned)))
        readers.update({(one.topic, one.partition): member.client_id for one in assigned})
    lags = [
        Lag(
            place.topic,
            place.partition,
            place.offset,
            ends.get((place.topic, place.partition)),
            readers.get((place.topic, place.partition), ""),
        )
        for place in (committed.topic_partitions if committed else ())
        if place.offset >= 0
    ]
    lags.sort(key=lambda lag: (lag.topic, lag.partition))
    state = description.state.name.lower().replace("_", " ") if description else "unknown"
    return Group(name, state, tuple(members), tuple(lags))


def _result(answer: "Future[Any]", timeout_secs: float) -> Any:
    """What a broker answered; None where it did not."""
    try:
        return answer.result(timeout_secs)
    except (KafkaException, TimeoutError):
        return None

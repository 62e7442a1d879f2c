"""Brokers, and topics with their partitions, offsets and rates."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka.admin import ClusterMetadata, TopicMetadata  # type: ignore[attr-defined]

from tailrace.web.streams.asking import EARLIEST, LATEST, Asking, Place
from tailrace.web.streams.history import History, Rates
from tailrace.web.streams.roles import Role

RATE_SECS: Final = 60
INTERNAL: Final = "__"
"""Topics of Kafka's own begin with it."""


@dataclass(frozen=True)
class Broker:
    """A member of the cluster, and what it does in all of its topics."""

    id: int
    address: str
    is_controller: bool
    """Of KRaft, whether it is one of the controllers."""
    leads: int
    """Partitions that it leads."""
    replicas: int
    """Partitions that it keeps."""
    out_of_sync: int
    """Of those, the ones that it is behind with."""


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

    @property
    def behind(self) -> tuple[int, ...]:
        """Brokers that should have it, and have not all of it."""
        return tuple(broker for broker in self.replicas if broker not in self.in_sync)


@dataclass(frozen=True)
class Topic:
    """A topic with its partitions."""

    name: str
    partitions: tuple[Partition, ...]
    history: Rates = ()
    """Messages a second in each of the last minutes, the oldest first; empty where not asked for."""

    @property
    def is_internal(self) -> bool:
        """Whether it is Kafka's own."""
        return self.name.startswith(INTERNAL)

    @property
    def messages(self) -> int:
        """Of all partitions that answered."""
        return sum(part.messages or 0 for part in self.partitions)

    @property
    def per_sec(self) -> float:
        """Messages a second, of all partitions that answered."""
        return sum(part.per_sec or 0.0 for part in self.partitions)

    @property
    def replicas(self) -> int:
        """On how many brokers each partition is kept; of different counts the largest."""
        return max((len(part.replicas) for part in self.partitions), default=0)

    @property
    def out_of_sync(self) -> int:
        """Partitions that are not on all of their brokers."""
        return sum(bool(part.behind) for part in self.partitions)

    @property
    def without_leader(self) -> int:
        """Partitions that nobody can read or write now."""
        return sum(part.leader < 0 for part in self.partitions)


def brokers_of(found: ClusterMetadata, roles: Mapping[int, Role]) -> tuple[Broker, ...]:
    """The brokers, and how much of all topics each has."""
    is_kraft = any(role.is_kraft for role in roles.values())
    parts = [part for topic in found.topics.values() for part in topic.partitions.values()]
    return tuple(
        Broker(
            broker.id,
            f"{broker.host}:{broker.port}",
            broker.id in roles and roles[broker.id].is_controller
            if is_kraft
            else bool(roles) and broker.id == found.controller_id,
            sum(part.leader == broker.id for part in parts),
            sum(broker.id in part.replicas for part in parts),
            sum(broker.id in part.replicas and broker.id not in part.isrs for part in parts),
        )
        for broker in sorted(found.brokers.values(), key=lambda one: one.id)
    )


def read_topics(
    asking: Asking, topics: Sequence[tuple[str, TopicMetadata]], history: History
) -> tuple[Topic, ...]:
    """These topics with their offsets, all asked for at once."""
    places = [(name, number) for name, topic in topics for number in topic.partitions]
    now_ms = asking.clock.now_ms()
    started = [
        asking.start_offsets(places, EARLIEST),
        asking.start_offsets(places, LATEST),
        asking.start_offsets_at(places, now_ms - RATE_SECS * 1000),
    ]
    first, end, then = map(asking.offsets, started)
    rates = history.rates(asking, places, end)

    def partition(name: str, number: int, part: Any) -> Partition:
        place = (name, number)
        return Partition(
            number,
            part.leader,
            tuple(part.replicas),
            tuple(part.isrs),
            first.get(place),
            end.get(place),
            _per_sec(then.get(place), end.get(place)),
        )

    return tuple(
        Topic(
            name,
            tuple(partition(name, *one) for one in sorted(topic.partitions.items())),
            _sum(rates, ((name, number) for number in topic.partitions)),
        )
        for name, topic in topics
    )


def _per_sec(then: int | None, end: int | None) -> float | None:
    if then is None or end is None:
        return None
    return 0.0 if then < 0 else (end - then) / RATE_SECS


def _sum(rates: Mapping[Place, Rates], places: Iterable[Place]) -> Rates:
    found = [rates[place] for place in places if place in rates]
    return tuple(map(sum, zip(*found, strict=True)))

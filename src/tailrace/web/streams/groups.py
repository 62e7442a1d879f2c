"""Consumer groups: their members, and how far they have come."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition

from tailrace.web.streams.asking import LATEST, Answer, Asking, Place


@dataclass(frozen=True)
class Lag:
    """How far a group has come with a partition; `client` reads it now."""

    topic: str
    partition: int
    committed: int | None
    """None: nothing yet."""
    end: int | None
    client: str
    member: str

    @property
    def lag(self) -> int | None:
        """Messages that are not committed."""
        if self.end is None or self.committed is None:
            return None
        return max(self.end - self.committed, 0)


@dataclass(frozen=True)
class Member:
    """Who reads in a group, and which partitions."""

    id: str
    client: str
    host: str
    assigned: tuple[Place, ...]

    @property
    def partitions(self) -> int:
        """How many it reads."""
        return len(self.assigned)

    @property
    def topics(self) -> list[tuple[str, list[int]]]:
        """What it reads, by topic."""
        found: dict[str, list[int]] = {}
        for topic, number in self.assigned:
            found.setdefault(topic, []).append(number)
        return sorted(found.items())


@dataclass(frozen=True)
class Group:
    """A consumer group."""

    name: str
    state: str
    protocol: str
    """How its members share: the older way (`classic`), or brokers' own (`consumer`)."""
    assignor: str
    coordinator: int | None
    members: tuple[Member, ...]
    partitions: tuple[Lag, ...]

    @property
    def lag(self) -> int:
        """Messages that are not committed, in all partitions that are known."""
        return sum(part.lag or 0 for part in self.partitions)

    @property
    def topics(self) -> list[str]:
        """What it reads or has read."""
        return sorted({part.topic for part in self.partitions})

    @property
    def unread(self) -> int:
        """Partitions with messages that are not committed, and that nobody reads."""
        return sum(bool(part.lag) and not part.member for part in self.partitions)


def start_listing(asking: Asking) -> Answer:
    """Ask for the names of all groups, to be given to `names`."""
    return asking.admin.list_consumer_groups(request_timeout=asking.step_secs)


def names(asking: Asking, listing: Answer) -> tuple[list[str], bool]:
    """The groups' names, and whether all brokers have told theirs."""
    told = asking.result(listing)
    if told is None:
        return [], False
    return sorted(group.group_id for group in told.valid), not told.errors


def read_groups(
    asking: Asking,
    wanted: Sequence[str],
    ends: Mapping[Place, int],
    only: Sequence[Place] | None = None,
) -> tuple[Group, ...]:
    """These groups; `ends` are those that are known. With `only`, what they read of these places."""
    if not wanted:
        return ()
    described = asking.admin.describe_consumer_groups(
        list(wanted), request_timeout=asking.step_secs
    )
    descriptions = {name: asking.result(described[name]) for name in wanted}
    # Only of groups that have just been described: asked for offsets of a group that it does not keep
    # (any more), a broker answers NOT_COORDINATOR, and librdkafka's admin client ends the process with
    # SIGSEGV (its issue 5040). A description fails by that answer and does no harm.
    known = [name for name in wanted if descriptions[name] is not None]
    committed = _read_committed(asking, known, only)
    members = {name: _members(described) for name, described in descriptions.items()}
    read = {place for offsets in committed.values() for place in offsets}
    read |= {place for some in members.values() for one in some for place in one.assigned}
    if only is not None:
        read &= set(only)
    all_ends = {**ends, **asking.offsets(asking.start_offsets(read - ends.keys(), LATEST))}
    return tuple(
        _group(name, descriptions[name], members[name], committed.get(name, {}), all_ends, read)
        for name in wanted
    )


def _read_committed(
    asking: Asking, names: Sequence[str], only: Sequence[Place] | None
) -> dict[str, dict[Place, int]]:
    places = None if only is None else [TopicPartition(*place) for place in only]
    asked = {
        name: asking.admin.list_consumer_group_offsets(
            [ConsumerGroupTopicPartitions(name, places)], request_timeout=asking.step_secs
        )[name]
        for name in names
    }
    return {name: _committed(asking.result(answer)) for name, answer in asked.items()}


def _committed(answer: Any) -> dict[Place, int]:
    places = answer.topic_partitions if answer else ()
    return {(one.topic, one.partition): one.offset for one in places if one.offset >= 0}


def _members(description: Any) -> tuple[Member, ...]:
    members = [
        Member(
            member.member_id,
            member.client_id,
            member.host.removeprefix("/"),
            tuple(sorted((one.topic, one.partition) for one in _assigned(member))),
        )
        for member in (description.members if description else ())
    ]
    return tuple(sorted(members, key=lambda member: (member.client, member.id)))


def _assigned(member: Any) -> list[TopicPartition]:
    return member.assignment.topic_partitions if member.assignment else []


def _group(
    name: str,
    description: Any,
    members: tuple[Member, ...],
    committed: Mapping[Place, int],
    ends: Mapping[Place, int],
    shown: set[Place],
) -> Group:
    readers = {place: member for member in members for place in member.assigned}
    lags = [
        Lag(
            *place,
            committed.get(place),
            ends.get(place),
            readers[place].client if place in readers else "",
            readers[place].id if place in readers else "",
        )
        for place in sorted((committed.keys() | readers.keys()) & shown)
    ]
    if description is None:
        return Group(name, "unknown", "", "", None, members, tuple(lags))
    return Group(
        name,
        description.state.name.lower().replace("_", " "),
        description.type.name.lower(),
        description.partition_assignor,
        description.coordinator.id if description.coordinator else None,
        members,
        tuple(lags),
    )

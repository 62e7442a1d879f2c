"""Consumer groups: their members, and how far they have come."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

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
    told = asking.groups.ask(wanted, only, asking.until)
    committed = {name: _committed(told[name]) for name in told}
    members = {name: _members(told[name]) for name in told}
    read = {place for offsets in committed.values() for place in offsets}
    read |= {place for some in members.values() for one in some for place in one.assigned}
    if only is not None:
        read &= set(only)
    all_ends = {**ends, **asking.offsets(asking.start_offsets(read - ends.keys(), LATEST))}
    return tuple(
        _group(name, told[name], members[name], committed[name], all_ends, read)
        if name in told
        else Group(name, "unknown", "", "", None, (), ())
        for name in wanted
    )


def _committed(told: Mapping[str, Any]) -> dict[Place, int]:
    return {(topic, number): offset for topic, number, offset in told["committed"]}


def _members(told: Mapping[str, Any]) -> tuple[Member, ...]:
    members = [
        Member(
            member["id"],
            member["client"],
            member["host"],
            tuple(sorted((topic, number) for topic, number in member["assigned"])),
        )
        for member in told["members"]
    ]
    return tuple(sorted(members, key=lambda member: (member.client, member.id)))


def _group(
    name: str,
    told: Mapping[str, Any],
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
    return Group(
        name,
        told["state"],
        told["protocol"],
        told["assignor"],
        told["coordinator"],
        members,
        tuple(lags),
    )

"""Brokers, topics and groups at one moment, from the admin API.

A cluster may have thousands of topics and groups: their names come at once, offsets and members are
asked for of those that are shown.
"""

from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka.admin import (  # type: ignore[attr-defined]
    ClusterMetadata,
    ResourceType,
    TopicMetadata,
)

from tailrace.web.streams.asking import Asking
from tailrace.web.streams.cluster import INTERNAL, Broker, Topic, brokers_of, read_topics
from tailrace.web.streams.configuration import Option, options_of, start_options
from tailrace.web.streams.groups import Group, names, read_groups, start_listing
from tailrace.web.streams.history import History
from tailrace.web.streams.names import Names, page_of
from tailrace.web.streams.roles import Roles

MOST_READERS: Final = 100
"""Groups that are asked whether they read a topic."""


@dataclass(frozen=True)
class Asked:
    """Which topics and groups somebody wants to see. A limit of 0 asks for none."""

    text: str = ""
    """Only those with this in their names."""
    with_internal: bool = False
    """Topics of Kafka's own, too."""
    topics_after: str = ""
    groups_after: str = ""
    topics: int = 50
    groups: int = 25


@dataclass(frozen=True)
class Health:
    """What is wrong with partitions, of all topics."""

    partitions: int
    out_of_sync: int
    without_leader: int


@dataclass(frozen=True)
class Overview:
    """Everything at one moment, topics and groups as far as they were asked for."""

    cluster: str
    brokers: tuple[Broker, ...]
    quorum: str
    """The controllers of KRaft; empty where there are none, or brokers do not tell."""
    health: Health
    topics: tuple[Topic, ...]
    topic_names: Names
    hidden: int
    """Topics of Kafka's own that are left out."""
    groups: tuple[Group, ...]
    group_names: Names
    has_all_groups: bool
    """Whether all brokers have told their groups."""


@dataclass(frozen=True)
class Readers:
    """Groups that read a topic, of the first `MOST_READERS` that there are."""

    groups: tuple[Group, ...]
    asked: int
    total: int
    has_all_groups: bool


@dataclass(frozen=True)
class Described:
    """A topic, and how it is set up."""

    topic: Topic
    options: tuple[Option, ...]


class NoSuchTopicError(Exception):
    """There is no such topic, or it has no such partition."""


def read_overview(asking: Asking, asked: Asked, history: History, roles: Roles) -> Overview:
    """Ask the brokers; KafkaException or TimeoutError when they do not answer."""
    listing = start_listing(asking) if asked.groups else None
    found = asking.admin.list_topics(timeout=asking.left_secs)
    shown = [name for name in found.topics if asked.with_internal or not name.startswith(INTERNAL)]
    topic_names = page_of(shown, asked.text, asked.topics_after, asked.topics)
    topics = read_topics(asking, [(name, found.topics[name]) for name in topic_names.rows], history)
    all_groups, is_whole = names(asking, listing) if listing else ([], True)
    group_names = page_of(all_groups, asked.text, asked.groups_after, asked.groups)
    ends = {
        (topic.name, part.number): part.end
        for topic in topics
        for part in topic.partitions
        if part.end is not None
    }
    known = roles.learn(
        asking, [(one.id, f"{one.host}:{one.port}") for one in found.brokers.values()]
    )
    cluster: Any = found.cluster_id  # the stubs say that there is none
    return Overview(
        cluster or "",
        brokers_of(found, known),
        next((role.quorum for role in known.values() if role.quorum), ""),
        _health(found),
        topics,
        topic_names,
        len(found.topics) - len(shown),
        read_groups(asking, group_names.rows, ends),
        group_names,
        is_whole,
    )


def read_topic(asking: Asking, name: str, history: History) -> Described:
    """One topic; NoSuchTopicError, or as `read_overview`."""
    topic = find_topic(asking, name)
    started = start_options(asking, ResourceType.TOPIC, name)
    [read] = read_topics(asking, [(name, topic)], history)
    return Described(read, options_of(asking.result(started)))


def read_readers(asking: Asking, name: str) -> Readers:
    """The groups that read a topic or have read it."""
    listing = start_listing(asking)
    places = [(name, number) for number in find_topic(asking, name).partitions]
    all_names, is_whole = names(asking, listing)
    asked = all_names[:MOST_READERS]
    groups = read_groups(asking, asked, {}, places)
    found = tuple(group for group in groups if group.partitions)
    return Readers(found, len(asked), len(all_names), is_whole)


def read_group(asking: Asking, name: str) -> Group | None:
    """One group; None where there is none of this name."""
    all_names, is_whole = names(asking, start_listing(asking))
    if name not in all_names:
        if not is_whole:
            raise TimeoutError
        return None
    [group] = read_groups(asking, [name], {})
    return group


def find_topic(asking: Asking, name: str) -> TopicMetadata:
    """What the brokers say of a topic; NoSuchTopicError. It is never made by asking for it."""
    topics = asking.admin.list_topics(timeout=asking.left_secs).topics
    topic = topics.get(name)
    if topic is None or topic.error is not None or not topic.partitions:
        raise NoSuchTopicError(
            f"cannot find the topic {name!r}: /streams lists those that there are"
        )
    return topic


def _health(found: ClusterMetadata) -> Health:
    parts = [part for topic in found.topics.values() for part in topic.partitions.values()]
    return Health(
        len(parts),
        sum(len(part.isrs) < len(part.replicas) for part in parts),
        sum(part.leader < 0 for part in parts),
    )

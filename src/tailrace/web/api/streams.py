"""`/api/v1/streams`: what brokers of Kafka know, and the messages of a topic."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from tailrace.web.context import Shared
from tailrace.web.pages.topic import Asked as AskedMessages
from tailrace.web.streams import Asked, Group, Overview, Topic

router = APIRouter(prefix="/api/v1/streams", tags=["streams"])


class BrokerModel(BaseModel):
    """A member of the cluster."""

    id: int = Field(examples=[1])
    address: str = Field(examples=["kafka1:9092"])
    is_controller: bool = Field(description="Of KRaft, whether it is one of the controllers")
    leads: int = Field(examples=[18], description="Partitions that it leads")
    replicas: int = Field(examples=[54], description="Partitions that it keeps")
    out_of_sync: int = Field(examples=[0], description="Of those, the ones that it is behind with")


class PartitionModel(BaseModel):
    """A part of a topic."""

    number: int = Field(examples=[0])
    leader: int = Field(examples=[1], description="Broker; -1: none")
    replicas: list[int] = Field(examples=[[1, 2, 3]])
    in_sync: list[int] = Field(examples=[[1, 2, 3]])
    first: int | None = Field(examples=[0], description="Offset of the first message")
    end: int | None = Field(examples=[1204], description="Offset after the last message")
    per_sec: float | None = Field(examples=[20.5], description="Messages a second, of one minute")


class TopicModel(BaseModel):
    """A topic with its partitions."""

    name: str = Field(examples=["conjecture.data"])
    messages: int = Field(examples=[4816], description="Offsets from the first to the last")
    per_sec: float = Field(examples=[82.0])
    is_internal: bool = Field(description="Whether it is Kafka's own")
    history: list[float] = Field(
        examples=[[81.2, 82.0]],
        description="Messages a second in each of the last minutes, the oldest first; empty where "
        "that would be too much to ask",
    )
    partitions: list[PartitionModel]


class TopicsModel(BaseModel):
    """A page of topics in the order of their names."""

    rows: list[TopicModel]
    total: int = Field(examples=[1], description="On all pages")
    next: str | None = Field(description="What the next page's `after` is; null: there is none")


class OptionModel(BaseModel):
    """An option of a topic."""

    name: str = Field(examples=["retention.ms"])
    value: str | None = Field(examples=["604800000"], description="Null: secret, or not set")
    source: str = Field(examples=["this topic"], description="Who has set it")
    is_default: bool
    meaning: str = Field(examples=["7 d"], description="Times and sizes as people read them")


class OptionsModel(BaseModel):
    """How a topic is set up; what people look for first."""

    rows: list[OptionModel]


class MemberModel(BaseModel):
    """Who reads in a group."""

    id: str
    client: str = Field(examples=["tailrace"])
    host: str = Field(examples=["/127.0.0.1"])
    partitions: int = Field(examples=[2])
    assigned: list[tuple[str, int]] = Field(
        examples=[[["conjecture.data", 0], ["conjecture.data", 1]]],
        description="What it reads: topics and partitions",
    )


class LagModel(BaseModel):
    """How far a group has come with a partition."""

    topic: str = Field(examples=["conjecture.data"])
    partition: int = Field(examples=[0])
    committed: int | None = Field(examples=[1200], description="Null: nothing yet")
    end: int | None = Field(examples=[1204])
    lag: int | None = Field(examples=[4], description="Messages that are not committed")
    client: str = Field(examples=["tailrace"], description="Who reads it; empty: nobody")
    member: str = Field(description="The same by the member's id")


class GroupModel(BaseModel):
    """A consumer group."""

    name: str = Field(examples=["matine"])
    state: str = Field(examples=["stable"])
    protocol: str = Field(examples=["classic"], description="How members share: classic, consumer")
    assignor: str = Field(examples=["cooperative-sticky"])
    coordinator: int | None = Field(examples=[2], description="The broker that keeps the group")
    lag: int = Field(examples=[4])
    members: list[MemberModel]
    partitions: list[LagModel]


class GroupsModel(BaseModel):
    """A page of groups in the order of their names."""

    rows: list[GroupModel]
    total: int = Field(examples=[1], description="On all pages")
    next: str | None = Field(description="What the next page's `after` is; null: there is none")
    is_whole: bool = Field(description="Whether all brokers have told their groups in time")


class StreamsModel(BaseModel):
    """Brokers, and the first topics and groups; `/topics` and `/groups` have all of them."""

    cluster: str
    brokers: list[BrokerModel]
    topics: list[TopicModel]
    groups: list[GroupModel]


class MessageModel(BaseModel):
    """A message. Bytes that are no UTF-8 are replaced by signs."""

    partition: int = Field(examples=[0])
    offset: int = Field(examples=[1203])
    time: datetime | None
    time_is: str = Field(examples=["created"], description="Whose time: created, or appended")
    key: str | None = Field(examples=["27"])
    value: str | None = Field(examples=['{"Number":27,"Step":0,"Value":27}'])
    size_bytes: int = Field(examples=[35])
    headers: list[tuple[str, str]]
    more_headers: int = Field(description="Headers beyond those that are given")
    is_cut: bool = Field(description="Whether key or value are longer than what is given")


class MessagesModel(BaseModel):
    """Messages: the newest first, or from the place on that was asked for."""

    rows: list[MessageModel]
    looked_at: int = Field(examples=[50], description="Messages that were read for it")
    is_whole: bool = Field(description="Whether all was read that was to be, in time")
    next: str | None = Field(
        examples=["b1154"],
        description="A `cursor` that leads on in the same direction; null: there is no more",
    )
    earlier: str | None = Field(
        description="A `cursor` to what is before these, the newest first; null where that is `next`"
    )


Text = Annotated[
    str, Query(max_length=300, description="Only names with this in them", examples=["data"])
]
Internal = Annotated[bool, Query(description="Topics of Kafka's own, too")]
After = Annotated[
    str,
    Query(max_length=300, description="`next` of the page before", examples=["conjecture.data"]),
]
Limit = Annotated[int, Query(ge=1, le=200)]


@router.get("", summary="Brokers, topics and groups")
async def streams(shared: Shared, q: Text = "", internal: Internal = False) -> StreamsModel:
    """What the brokers of `BOOTSTRAP_SERVERS` know at this moment. 503 where none is named or answers."""
    overview = await shared.streams.overview(Asked(q, internal))
    return StreamsModel(
        cluster=overview.cluster,
        brokers=[BrokerModel(**asdict(broker)) for broker in overview.brokers],
        topics=_topics(overview),
        groups=_groups(overview),
    )


@router.get("/topics", summary="Topics, page by page")
async def topics(
    shared: Shared, q: Text = "", internal: Internal = False, after: After = "", limit: Limit = 50
) -> TopicsModel:
    """Topics with their partitions, offsets and rates."""
    asked = Asked(q, internal, topics_after=after, topics=limit, groups=0)
    overview = await shared.streams.overview(asked)
    names = overview.topic_names
    return TopicsModel(rows=_topics(overview), total=names.total, next=names.next)


@router.get("/groups", summary="Consumer groups, page by page")
async def groups(shared: Shared, q: Text = "", after: After = "", limit: Limit = 25) -> GroupsModel:
    """Groups with their members, what each of them reads, and how far they have come."""
    asked = Asked(q, groups_after=after, topics=0, groups=limit)
    overview = await shared.streams.overview(asked)
    names = overview.group_names
    return GroupsModel(
        rows=_groups(overview),
        total=names.total,
        next=names.next,
        is_whole=overview.has_all_groups,
    )


@router.get("/{topic}/configuration", summary="How a topic is set up")
async def configuration(
    shared: Shared, topic: Annotated[str, Path(examples=["conjecture.data"])]
) -> OptionsModel:
    """Retention, cleanup, sizes and the rest, with who has set it."""
    described = await shared.streams.topic(topic)
    return OptionsModel(
        rows=[OptionModel(**asdict(one), meaning=one.meaning) for one in described.options]
    )


@router.get("/{topic}/messages", summary="Messages of a topic")
async def messages(
    shared: Shared,
    topic: Annotated[str, Path(examples=["conjecture.data"])],
    asked: AskedMessages,
) -> MessagesModel:
    """The newest messages, or those from an offset, a time or a cursor on. No group is joined for it,
    and no offset is committed."""
    found = await shared.streams.messages(asked.wanted(topic, shared.now()))
    return MessagesModel(
        rows=[MessageModel(**asdict(message)) for message in found.messages],
        looked_at=found.looked_at,
        is_whole=found.is_whole,
        next=found.next,
        earlier=found.earlier,
    )


def _topics(overview: Overview) -> list[TopicModel]:
    return [_topic(topic) for topic in overview.topics]


def _topic(topic: Topic) -> TopicModel:
    return TopicModel(
        **asdict(topic),
        messages=topic.messages,
        per_sec=topic.per_sec,
        is_internal=topic.is_internal,
    )


def _groups(overview: Overview) -> list[GroupModel]:
    return [_group(group) for group in overview.groups]


def _group(group: Group) -> GroupModel:
    return GroupModel(
        name=group.name,
        state=group.state,
        protocol=group.protocol,
        assignor=group.assignor,
        coordinator=group.coordinator,
        lag=group.lag,
        members=[
            MemberModel(**asdict(member), partitions=member.partitions) for member in group.members
        ],
        partitions=[LagModel(**asdict(lag), lag=lag.lag) for lag in group.partitions],
    )

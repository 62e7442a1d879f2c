"""`/api/v1/streams`: what brokers of Kafka know, and the messages of a topic."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from tailrace.web.context import Shared
from tailrace.web.pages.streams import wanted_of

router = APIRouter(prefix="/api/v1/streams", tags=["streams"])


class BrokerModel(BaseModel):
    """A member of the cluster."""

    id: int = Field(examples=[1])
    address: str = Field(examples=["kafka1:9092"])
    is_controller: bool


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
    partitions: list[PartitionModel]


class MemberModel(BaseModel):
    """Who reads in a group."""

    id: str
    client: str = Field(examples=["tailrace"])
    host: str = Field(examples=["/127.0.0.1"])
    partitions: int = Field(examples=[2])


class LagModel(BaseModel):
    """How far a group has come with a partition."""

    topic: str = Field(examples=["conjecture.data"])
    partition: int = Field(examples=[0])
    committed: int = Field(examples=[1200])
    end: int | None = Field(examples=[1204])
    lag: int | None = Field(examples=[4], description="Messages that are not committed")
    client: str = Field(examples=["tailrace"], description="Who reads it; empty: nobody")


class GroupModel(BaseModel):
    """A consumer group."""

    name: str = Field(examples=["matine"])
    state: str = Field(examples=["stable"])
    lag: int = Field(examples=[4])
    members: list[MemberModel]
    partitions: list[LagModel]


class StreamsModel(BaseModel):
    """Everything at one moment."""

    cluster: str
    brokers: list[BrokerModel]
    topics: list[TopicModel]
    groups: list[GroupModel]


class MessageModel(BaseModel):
    """A message. Bytes that are no UTF-8 are replaced by signs."""

    partition: int = Field(examples=[0])
    offset: int = Field(examples=[1203])
    time: datetime | None
    key: str | None = Field(examples=["27"])
    value: str | None = Field(examples=['{"Number":27,"Step":0,"Value":27}'])
    size_bytes: int = Field(examples=[35])
    headers: list[tuple[str, str]]
    is_cut: bool = Field(description="Whether the value is longer than what is shown")


class MessagesModel(BaseModel):
    """Messages: the newest first, or from the place on that was asked for."""

    rows: list[MessageModel]
    looked_at: int = Field(examples=[50], description="Messages that were read for it")
    is_whole: bool = Field(description="Whether all was read that was to be, in time")


@router.get("", summary="Brokers, topics and groups")
async def streams(shared: Shared) -> StreamsModel:
    """What the brokers of `BOOTSTRAP_SERVERS` know at this moment. 503 where none is named or answers."""
    overview = await shared.streams.overview()
    return StreamsModel(
        cluster=overview.cluster,
        brokers=[BrokerModel(**asdict(broker)) for broker in overview.brokers],
        topics=[
            TopicModel(**asdict(topic), messages=topic.messages, per_sec=topic.per_sec)
            for topic in overview.topics
        ],
        groups=[
            GroupModel(
                name=group.name,
                state=group.state,
                lag=group.lag,
                members=[MemberModel(**asdict(member)) for member in group.members],
                partitions=[LagModel(**asdict(lag), lag=lag.lag) for lag in group.partitions],
            )
            for group in overview.groups
        ],
    )


@router.get("/{topic}/messages", summary="Messages of a topic")
async def messages(
    shared: Shared,
    topic: Annotated[str, Path(examples=["conjecture.data"])],
    partition: Annotated[
        str, Query(pattern=r"^\d{0,6}$", description="Only this one", examples=["0"])
    ] = "",
    offset: Annotated[
        str, Query(pattern=r"^\d{0,19}$", description="From here on", examples=["1200"])
    ] = "",
    since: Annotated[str, Query(description="From this time on", examples=["15m"])] = "",
    text: Annotated[
        str, Query(alias="q", max_length=1000, description="In the key or the value")
    ] = "",
    last: Annotated[
        int, Query(ge=1, le=10_000, description="Where `q` is looked for: the last of the topic")
    ] = 1000,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> MessagesModel:
    """The newest messages, or those from an offset or a time on. No group is joined for it, and no
    offset is committed."""
    found = await shared.streams.messages(
        wanted_of(shared, topic, partition, offset, since, text, last, limit)
    )
    return MessagesModel(
        rows=[MessageModel(**asdict(message)) for message in found.messages],
        looked_at=found.looked_at,
        is_whole=found.is_whole,
    )

"""`/streams`: brokers, topics and groups of Kafka, and the messages of a topic.

Pages are whole without scripts; with them what they show is brought up to date by itself.
"""

from dataclasses import replace
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse
from starlette.exceptions import HTTPException

from tailrace.search.times import parse_moment
from tailrace.web.context import Context, Shared
from tailrace.web.streams import Found, NoBrokerError, Wanted

router = APIRouter(prefix="/streams", include_in_schema=False)

LOOKED_AT: Final = (1000, 10_000)
LARGEST_OFFSET: Final = 2**63 - 1
_NO_CACHE: Final = {"Cache-Control": "no-store"}


@router.head("")
@router.get("")
async def show_streams(shared: Shared) -> HTMLResponse:
    """Everything at one moment; what is wrong instead, where brokers do not answer."""
    overview, problem = None, None
    try:
        overview = await shared.streams.overview()
    except HTTPException as error:
        problem = error
    html = shared.renderer.render(
        "streams.html",
        overview=overview,
        problem=problem,
        is_configured=not isinstance(problem, NoBrokerError),
        servers=shared.streams.servers,
        delivery=await shared.collector.delivery(),
    )
    status = 503 if problem and shared.streams.servers else 200
    return HTMLResponse(html, status, headers=_NO_CACHE)


@router.head("/{topic}")
@router.get("/{topic}")
async def show_topic(
    shared: Shared,
    topic: str,
    partition: Annotated[str, Query(pattern=r"^\d{0,6}$")] = "",
    offset: Annotated[str, Query(pattern=r"^\d{0,19}$")] = "",
    since: str = "",
    text: Annotated[str, Query(alias="q", max_length=1000)] = "",
    last: Annotated[int, Query(ge=1, le=10_000)] = LOOKED_AT[0],
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> HTMLResponse:
    """A topic: its partitions, and messages from a place on, or the newest."""
    overview = await shared.streams.overview()
    found_topic = overview.topic(topic)
    if found_topic is None:
        names = ", ".join(one.name for one in overview.topics) or "none"
        raise HTTPException(404, f"cannot find the topic {topic!r}: there are {names}")
    wanted = wanted_of(shared, topic, partition, offset, since, text, last, limit)
    found = await shared.streams.messages(wanted)
    html = shared.renderer.render(
        "stream.html",
        topic=found_topic,
        wanted=wanted,
        since=since,
        found=found,
        looked_at_choices=LOOKED_AT,
        steps=_steps(wanted, found),
        is_newest=wanted.offset is None and wanted.since is None,
        delivery=await shared.collector.delivery(),
    )
    return HTMLResponse(html, headers=_NO_CACHE)


def wanted_of(
    shared: Context,
    topic: str,
    partition: str,
    offset: str,
    since: str,
    text: str,
    last: int,
    limit: int,
) -> Wanted:
    """What the parameters ask for; QueryError for a time that cannot be read."""
    return Wanted(
        topic,
        int(partition) if partition else None,
        min(int(offset), LARGEST_OFFSET) if offset else None,
        parse_moment(since, shared.now()) if since and not offset else None,
        text,
        last,
        limit,
    )


def _steps(wanted: Wanted, found: Found) -> list[tuple[str, str]]:
    """Where one may go from here within one partition: names and addresses."""
    if wanted.partition is None or not found.messages:
        return [("Newest", _url(replace(wanted, offset=None)))]
    offsets = [message.offset for message in found.messages]
    earlier = max(min(offsets) - wanted.limit, 0)
    return [
        ("First", _url(replace(wanted, offset=0))),
        ("‹ Earlier", _url(replace(wanted, offset=earlier))),
        ("Later ›", _url(replace(wanted, offset=max(offsets) + 1))),
        ("Newest", _url(replace(wanted, offset=None))),
    ]


def _url(wanted: Wanted) -> str:
    pairs: list[tuple[str, Any]] = [
        ("partition", wanted.partition),
        ("offset", wanted.offset),
        ("q", wanted.text or None),
        ("limit", wanted.limit),
    ]
    return f"?{urlencode([(name, value) for name, value in pairs if value is not None])}"

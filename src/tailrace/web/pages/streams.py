"""`/streams`: brokers, topics and groups of Kafka, and one group.

Pages are whole without scripts; with them what they show is brought up to date by itself.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Final
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse
from starlette.exceptions import HTTPException

from tailrace.web.context import Shared
from tailrace.web.pages.drawing import COLOURS
from tailrace.web.pages.spark import spark
from tailrace.web.streams import Asked, Group, NoBrokerError, Overview
from tailrace.web.units import format_number

router = APIRouter(prefix="/streams", include_in_schema=False)

LONGEST_NAME: Final = 300
A_PAGE: Final = 25
NO_CACHE: Final = {"Cache-Control": "no-store"}
TONES: Final = {
    "stable": "good",
    "empty": "quiet",
    "dead": "bad",
    "preparing rebalancing": "warning",
    "completing rebalancing": "warning",
    "assigning": "warning",
    "reconciling": "warning",
}
"""How the states of groups look; each is a word as well."""

Name = Annotated[str, Query(max_length=LONGEST_NAME)]


@router.head("")
@router.get("")
async def show_streams(
    shared: Shared,
    q: Name = "",
    internal: str = "",
    topics_after: Name = "",
    groups_after: Name = "",
    live: str = "",
) -> HTMLResponse:
    """Everything at one moment; what is wrong instead, where brokers do not answer."""
    asked = Asked(q, internal == "1", topics_after, groups_after, A_PAGE, A_PAGE)
    overview, problem = None, None
    try:
        overview = await shared.streams.overview(asked)
    except HTTPException as error:
        problem = error
    html = shared.renderer.render(
        "streams.html",
        **shown_by_all(),
        overview=overview,
        asked=asked,
        problem=problem,
        is_configured=not isinstance(problem, NoBrokerError),
        is_live=live != "0",
        url=lambda **changed: _url(asked, changed),
        lag=sum(group.lag for group in overview.groups) if overview else 0,
        per_sec=sum(topic.per_sec for topic in overview.topics) if overview else 0,
        is_all=overview is not None and _is_all(overview),
        delivery=await shared.collectors.delivery(),
    )
    status = 503 if problem and shared.streams.servers else 200
    return HTMLResponse(html, status, headers=NO_CACHE)


@router.head("/groups/{name:path}")
@router.get("/groups/{name:path}")
async def show_group(shared: Shared, name: str, live: str = "") -> HTMLResponse:
    """A group: its members with what each reads, and how far it has come."""
    group = await shared.streams.group(name)
    if group is None:
        raise HTTPException(
            404, f"cannot find the group {name!r}: /streams lists those that there are"
        )
    html = shared.renderer.render(
        "stream_group.html",
        **shown_by_all(),
        group=group,
        largest_lag=max((part.lag or 0 for part in group.partitions), default=0),
        is_live=live != "0",
        delivery=await shared.collectors.delivery(),
    )
    return HTMLResponse(html, headers=NO_CACHE)


def shown_by_all() -> dict[str, Any]:
    """What the templates of all pages of streams use."""
    return {
        "topic_url": lambda name, **pairs: address(f"/streams/{name}", **pairs),
        "group_url": lambda name: f"/streams/groups/{quote(name, safe='')}",
        "number": format_number,
        "spark": spark,
        "tones": TONES,
        "colours_of": colours_of,
    }


def colours_of(group: Group) -> dict[str, str]:
    """A colour for each member that reads something, by its id."""
    ids = [member.id for member in group.members if member.assigned]
    return {each: f"series-{COLOURS[at % len(COLOURS)]}" for at, each in enumerate(ids)}


def address(path: str, **pairs: object) -> str:
    """The path with those parameters that are given."""
    given = [(name, value) for name, value in pairs.items() if value not in (None, "", False)]
    return f"{path}?{urlencode(given)}" if given else path


def _url(asked: Asked, changed: dict[str, object]) -> str:
    pairs: dict[str, object] = {
        "q": asked.text,
        "internal": "1" if asked.with_internal else "",
        "topics_after": asked.topics_after,
        "groups_after": asked.groups_after,
    }
    return address("/streams", **{**pairs, **changed})


def _is_all(overview: Overview) -> bool:
    """Whether all topics and groups that there are are on this page."""
    names: Sequence[Any] = (overview.topic_names, overview.group_names)
    return all(one.next is None and one.previous is None for one in names)

"""`/streams/TOPIC`: a topic's messages, partitions, groups and configuration.

Messages are the newest, or those from a place on. One that is open is shown with all that it has, and
stays on the page whatever comes meanwhile.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query
from fastapi.responses import HTMLResponse

from tailrace.errors import QueryError
from tailrace.search.times import parse_moment
from tailrace.web.context import Shared
from tailrace.web.pages.streams import NO_CACHE, address, shown_by_all
from tailrace.web.streams import LONGEST_CURSOR, Found, Message, Wanted
from tailrace.web.streams.configuration import FIRST
from tailrace.web.streams.pretty import pretty_json

router = APIRouter(prefix="/streams", include_in_schema=False)

TABS: Final = {
    "": "Messages",
    "partitions": "Partitions",
    "groups": "Groups",
    "configuration": "Configuration",
}
LOOKED_AT: Final = (1000, 10_000)
USUAL_LIMIT: Final = 50
LARGEST_OFFSET: Final = 2**63 - 1


@dataclass(frozen=True)
class Typed:
    """The parameters of messages as they were typed."""

    partition: Annotated[
        str, Query(pattern=r"^\d{0,6}$", description="Only this one", examples=["0"])
    ] = ""
    offset: Annotated[
        str, Query(pattern=r"^\d{0,19}$", description="From here on", examples=["1200"])
    ] = ""
    since: Annotated[
        str, Query(max_length=100, description="From this time on", examples=["15m"])
    ] = ""
    q: Annotated[
        str, Query(max_length=1000, description="In the key or the value", examples=["9232"])
    ] = ""
    last: Annotated[
        int, Query(ge=1, le=10_000, description="Where `q` is looked for: the last of the topic")
    ] = LOOKED_AT[0]
    limit: Annotated[int, Query(ge=1, le=500, description="Messages at most")] = USUAL_LIMIT
    cursor: Annotated[
        str, Query(max_length=LONGEST_CURSOR, description="`next` or `earlier` of an answer")
    ] = ""

    def wanted(self, topic: str, now: datetime) -> Wanted:
        """What they ask for; QueryError for a time that cannot be read."""
        return Wanted(
            topic,
            int(self.partition) if self.partition else None,
            min(int(self.offset), LARGEST_OFFSET) if self.offset else None,
            parse_moment(self.since, now) if self.since and not self.offset else None,
            self.q,
            self.last,
            self.limit,
            self.cursor,
        )

    def url(self, path: str, **more: object) -> str:
        """The path with these parameters, without those that are empty or usual."""
        return address(
            path,
            partition=self.partition,
            offset=self.offset,
            since=self.since,
            q=self.q,
            last=self.last if self.last != LOOKED_AT[0] else "",
            limit=self.limit if self.limit != USUAL_LIMIT else "",
            cursor=self.cursor,
            **more,
        )

    def at(self, cursor: str) -> "Typed":
        """The same from a cursor on."""
        return replace(self, cursor=cursor, offset="", since="")


Asked = Annotated[Typed, Depends()]


@router.head("/{topic}")
@router.get("/{topic}")
async def show_topic(
    shared: Shared,
    topic: str,
    typed: Asked,
    show: Annotated[str, Query(pattern="^(partitions|groups|configuration|)$")] = "",
    opened: Annotated[str, Query(alias="open", pattern=r"^(\d{1,6}-\d{1,19})?$")] = "",
    live: str = "",
) -> HTMLResponse:
    """One of the tabs, with what there is to know of the topic above it."""
    described = await shared.streams.topic(topic)
    of_tab: dict[str, Any] = {}
    match show:
        case "":
            of_tab = await _messages(shared, topic, typed, opened)
        case "groups":
            of_tab = {"readers": await shared.streams.readers(topic)}
        case _:
            pass
    html = shared.renderer.render(
        "stream.html",
        **shown_by_all(),
        **of_tab,
        topic=described.topic,
        options=described.options,
        facts={option.name: option for option in described.options if option.name in FIRST},
        tabs=[
            (name, label, address(f"/streams/{topic}", show=name)) for name, label in TABS.items()
        ],
        show=show,
        is_live=live != "0" and _can_be_live(of_tab),
        can_be_live=_can_be_live(of_tab),
        delivery=await shared.collectors.delivery(),
    )
    return HTMLResponse(html, headers=NO_CACHE)


async def _messages(shared: Shared, topic: str, typed: Typed, opened: str) -> dict[str, Any]:
    problem, found = None, None
    try:
        found = await shared.streams.messages(typed.wanted(topic, shared.now()))
    except QueryError as error:
        problem = error
    one = None
    if opened:
        one = await _opened(shared, topic, opened, found)
        if found and one and one not in found.messages:
            found = replace(found, messages=(one, *found.messages))
    return {
        "typed": typed,
        "found": found,
        "problem": problem,
        "opened": one,
        "pretty": pretty_json(one.value) if one and one.value else None,
        "marks": [typed.q] if typed.q else [],
        "today": shared.now().date(),
        "looked_at_choices": LOOKED_AT,
        "steps": _steps(f"/streams/{topic}", typed, found) if found else [],
        "here": lambda **more: typed.url(f"/streams/{topic}", **more),
        "api_url": typed.url(f"/api/v1/streams/{topic}/messages"),
    }


async def _opened(shared: Shared, topic: str, place: str, found: Found | None) -> Message | None:
    """The message at `PARTITION-OFFSET`; None where there is none (any more)."""
    partition, offset = map(int, place.split("-"))
    here = (
        [one for one in found.messages if (one.partition, one.offset) == (partition, offset)]
        if found
        else []
    )
    if not here:
        wanted = Wanted(topic, partition, min(offset, LARGEST_OFFSET), limit=1)
        read = await shared.streams.messages(wanted)
        here = [one for one in read.messages if one.offset == offset]
    return here[0] if here else None


def _steps(path: str, typed: Typed, found: Found) -> list[tuple[str, str, str]]:
    """Where one may go from here: relation, name and address."""
    steps = []
    if typed.cursor or typed.offset or typed.since:
        steps.append(("first", "Newest", replace(typed, cursor="", offset="", since="").url(path)))
    if found.earlier:
        steps.append(("prev", "← Earlier", typed.at(found.earlier).url(path)))
    if found.next:
        name = "Later →" if found.is_forward else "Older →"
        steps.append(("next", name, typed.at(found.next).url(path)))
    return steps


def _can_be_live(of_tab: dict[str, Any]) -> bool:
    """Whether what is shown is the newest that there is, and nobody reads one message of it."""
    if "typed" not in of_tab:
        return True
    typed: Typed = of_tab["typed"]
    is_newest = not (typed.cursor or typed.offset or typed.since or of_tab["problem"])
    return is_newest and of_tab["opened"] is None

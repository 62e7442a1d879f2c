"""`/dashboards`: pages of panels. Each panel is a fragment that the page loads by itself, so that a slow
one holds no other; without scripts the page is one of tables, whose panels are all asked at once.

What goes wrong with a panel is shown in that panel and nowhere else.
"""

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query
from fastapi.responses import HTMLResponse
from starlette.exceptions import HTTPException

from tailrace.errors import ConfigurationError, QueryError, StoreError
from tailrace.packs.dashboard import Dashboard, Panel
from tailrace.search.times import PRESETS
from tailrace.web.context import Context, Shared
from tailrace.web.pages.drawing import Drawing, draw
from tailrace.web.panels import Answer, Found, Span, ask, explain, tables_there
from tailrace.web.parameters import range_label

router = APIRouter(prefix="/dashboards", include_in_schema=False)

REFRESH: Final = {"0": "off", "10": "10 s", "30": "30 s", "60": "1 min", "300": "5 min"}
USUAL_REFRESH: Final = "30"
_NO_CACHE: Final = {"Cache-Control": "no-store"}


@dataclass(frozen=True, slots=True)
class DashboardState:
    """The parameters of a dashboard as they were typed: the whole state of its page."""

    start: str = ""
    end: str = ""
    refresh: str = ""
    view: str = ""

    def url(self, path: str) -> str:
        """These parameters on `path`, without those that are empty."""
        pairs = [("from", self.start), ("to", self.end)]
        pairs += [("refresh", self.refresh), ("view", self.view)]
        given = [(name, value) for name, value in pairs if value]
        return f"{path}?{urlencode(given)}" if given else path

    def ends(self, usual: str) -> dict[str, str]:
        """What the links of panels take along: the range as it was typed."""
        return {"from": self.start or ("" if self.end else usual), "to": self.end}


async def _state(
    start: Annotated[str, Query(alias="from")] = "",
    end: Annotated[str, Query(alias="to")] = "",
    refresh: Annotated[Literal["", "0", "10", "30", "60", "300"], Query()] = "",
    view: Annotated[Literal["", "tables"], Query()] = "",
) -> DashboardState:
    return DashboardState(start, end, refresh, view)


Stated = Annotated[DashboardState, Depends(_state)]


@dataclass(frozen=True, slots=True)
class Shown:
    """A panel as its template writes it: with an answer, with a problem, or yet to be asked."""

    panel: Panel
    answer: Answer | None = None
    drawing: Drawing | None = None
    problem: str = ""


@router.head("")
@router.get("")
async def list_dashboards(shared: Shared) -> HTMLResponse:
    """The list: every pack with a dashboard, and whether its tables are there."""
    found = shared.dashboards.all()
    try:
        names = [one.pack.table for one in found if one.pack.table]
        there: set[str] | None = await tables_there(shared.store, names)
    except StoreError:
        there = None  # the dashboards themselves say what is wrong
    html = shared.renderer.render(
        "dashboards.html",
        found=found,
        is_there=lambda one: there is None or one.pack.table is None or one.pack.table in there,
        delivery=await shared.collectors.delivery(),
    )
    return HTMLResponse(html, headers=_NO_CACHE)


@router.head("/{pack}")
@router.get("/{pack}")
async def show_dashboard(shared: Shared, pack: str, state: Stated) -> HTMLResponse:
    """One dashboard; its panels empty, or with `view=tables` all of them as tables."""
    found, dashboard = find_dashboard(shared, pack)
    now = shared.now()
    problem: QueryError | None = None
    span: Span | None = None
    panels = [Shown(panel) for panel in dashboard.panels]
    try:
        span = Span.parse(state.start, state.end, dashboard.range, now)
    except QueryError as error:
        problem = error
    else:
        if state.view == "tables":
            panels = await _all_panels(shared, found, dashboard, state, span)
    html = shared.renderer.render(
        "dashboard.html",
        **_values(found, dashboard, state, span),
        panels=panels,
        problem=problem,
        delivery=await shared.collectors.delivery(),
    )
    return HTMLResponse(html, 400 if problem else 200, headers=_NO_CACHE)


@router.head("/{pack}/panels/{name}")
@router.get("/{pack}/panels/{name}")
async def show_panel(shared: Shared, pack: str, name: str, state: Stated) -> HTMLResponse:
    """The inside of one panel. What ClickHouse refuses is its content."""
    found, dashboard = find_dashboard(shared, pack)
    panel = find_panel(found, dashboard, name)
    span = Span.parse(state.start, state.end, dashboard.range, shared.now())
    shown = await _show(shared, found, panel, state.ends(dashboard.range), span)
    html = shared.renderer.render("panel.html", shown=shown, is_table=False)
    return HTMLResponse(html, headers=_NO_CACHE)


def find_dashboard(shared: Context, pack: str) -> tuple[Found, Dashboard]:
    """A pack's dashboard; 404 where there is none, ConfigurationError where its file is wrong."""
    found = shared.dashboards.find(pack)
    if found is None:
        names = ", ".join(one.pack.name for one in shared.dashboards.all())
        raise HTTPException(404, f"cannot find a dashboard {pack!r}: there are {names}")
    if found.dashboard is None:
        raise found.problem or ConfigurationError(f"BUG: no dashboard and no problem: {pack!r}")
    return found, found.dashboard


def find_panel(found: Found, dashboard: Dashboard, name: str) -> Panel:
    """A panel by its name in addresses; 404 where there is none."""
    panel = dashboard.panel(name)
    if panel is None:
        names = ", ".join(one.name for one in dashboard.panels)
        raise HTTPException(
            404, f"cannot find a panel {name!r} of {found.pack.name}: there are {names}"
        )
    return panel


async def _all_panels(
    shared: Context, found: Found, dashboard: Dashboard, state: DashboardState, span: Span
) -> list[Shown]:
    ends = state.ends(dashboard.range)
    asked = (_show(shared, found, panel, ends, span) for panel in dashboard.panels)
    return await asyncio.gather(*asked)


async def _show(
    shared: Context, found: Found, panel: Panel, ends: dict[str, str], span: Span
) -> Shown:
    answer: Answer | None = None
    try:
        answer = await ask(shared.store, panel, span)
        return Shown(panel, answer, draw(answer, ends))
    except StoreError as error:
        return Shown(panel, problem=explain(error, found.pack))
    except ConfigurationError as error:
        return Shown(panel, answer, problem=str(error))


def _values(
    found: Found, dashboard: Dashboard, state: DashboardState, span: Span | None
) -> dict[str, Any]:
    path = f"/dashboards/{found.pack.name}"
    usual = "" if state.end else dashboard.range
    return {
        "pack": found.pack,
        "dashboard": dashboard,
        "state": state,
        "path": path,
        "range_label": range_label(state.start or usual, state.end),
        "presets": [
            (
                start,
                label,
                replace(state, start=start, end="").url(path),
                (state.start or usual) == start and not state.end,
            )
            for start, label in PRESETS.items()
        ],
        "panel_url": lambda panel: replace(state, view="", refresh="").url(
            f"{path}/panels/{panel.name}"
        ),
        "tables_url": replace(state, view="tables").url(path),
        "charts_url": replace(state, view="").url(path),
        "steps": _steps(state, span, path) if span else (),
        "refresh_choices": REFRESH,
        "refresh": state.refresh or USUAL_REFRESH,
    }


def _steps(state: DashboardState, span: Span, path: str) -> tuple[tuple[str, str, str], ...]:
    """A range back, out to twice the time, a range on: sign, what it does, address."""
    length = span.end - span.start

    def url(start: datetime, end: datetime) -> str:
        return replace(state, start=_iso(start), end=_iso(end)).url(path)

    middle = span.start + length / 2
    return (
        ("‹", "A range earlier", url(span.start - length, span.start)),
        ("−", "Twice the time", url(middle - length, middle + length)),
        ("›", "A range later", url(span.end, span.end + length)),
    )


def _iso(moment: datetime) -> str:
    whole = moment + timedelta(microseconds=500_000)
    return f"{whole:%Y-%m-%dT%H:%M:%SZ}"

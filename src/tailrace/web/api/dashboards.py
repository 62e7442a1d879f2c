"""`/api/v1/dashboards`: what dashboards there are, and the rows behind each panel."""

from dataclasses import asdict
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, Field

from tailrace.packs.dashboard import Kind, Width
from tailrace.search.logs import SearchStatistics
from tailrace.web.api.logs import StatisticsModel
from tailrace.web.context import Shared
from tailrace.web.pages.dashboards import find_dashboard, find_panel
from tailrace.web.panels import Span, ask

router = APIRouter(prefix="/api/v1/dashboards", tags=["dashboards"])

_ASKED_NOTHING: Final = SearchStatistics(0, 0, 0.0)


class DashboardModel(BaseModel):
    """A dashboard in the list. `problem` says what is wrong with a file that cannot be used."""

    pack: str = Field(examples=["logs"])
    title: str = Field(examples=["Logs"])
    description: str
    problem: str | None = None


class DashboardListModel(BaseModel):
    """Every pack's dashboard; always the whole list."""

    rows: list[DashboardModel]
    next: None = None
    statistics: StatisticsModel
    sql: str = Field("", description="Empty: the list comes from files")


class PanelModel(BaseModel):
    """A panel, as its file has it; `name` is what addresses call it."""

    name: str = Field(examples=["errors-by-source"])
    title: str = Field(examples=["Errors by source"])
    kind: Kind
    unit: str
    description: str
    width: Width
    sql: str


class WholeDashboardModel(BaseModel):
    """A dashboard with its panels. `range` is the time that it shows at first."""

    pack: str = Field(examples=["logs"])
    title: str = Field(examples=["Logs"])
    description: str
    range: str = Field(examples=["1h"])
    panels: list[PanelModel]


class PanelRowsModel(BaseModel):
    """What a panel's SQL gave: a list of rows, cut where `statistics.limit` says so."""

    rows: list[dict[str, Any]] = Field(examples=[[{"source": "payment", "errors": 412}]])
    next: None = None
    statistics: StatisticsModel
    sql: str
    parameters: dict[str, str | int] = Field(
        examples=[{"from": "1795342335.000", "to": "1795345935.000", "step": 60}],
        description="from and to in seconds since 1970, step in seconds",
    )
    types: dict[str, str] = Field(
        examples=[{"source": "LowCardinality(String)", "errors": "UInt64"}],
        description="ClickHouse's type of each column",
    )


_PackName = Annotated[str, Path(description="The pack's name", examples=["logs"])]
_Start = Annotated[
    str,
    Query(
        alias="from",
        description="From this moment on: ISO 8601, seconds since 1970, 15m, 1 hour ago; by "
        "default the dashboard's own range before `to`",
        examples=["15m", "2026-11-22T10:00:00Z"],
    ),
]
_End = Annotated[str, Query(alias="to", description="Before this moment; by default now")]


@router.get("", response_model=DashboardListModel, summary="What dashboards there are")
async def list_dashboards(shared: Shared) -> Response:
    """The packs that have a dashboard, built in or one's own."""
    rows = [
        {
            "pack": found.pack.name,
            "title": found.title,
            "description": found.dashboard.description if found.dashboard else "",
            "problem": str(found.problem) if found.problem else None,
        }
        for found in shared.dashboards.all()
    ]
    return _json({"rows": rows, "next": None, "statistics": asdict(_ASKED_NOTHING), "sql": ""})


@router.get("/{pack}", response_model=WholeDashboardModel, summary="One dashboard")
async def get_dashboard(shared: Shared, pack: _PackName) -> Response:
    """A dashboard and its panels, without their data."""
    found, dashboard = find_dashboard(shared, pack)
    said = dashboard.model_dump(exclude={"panels"})
    panels = [
        PanelModel(name=panel.name, **panel.model_dump(include=set(PanelModel.model_fields)))
        for panel in dashboard.panels
    ]
    return _json(
        {"pack": found.pack.name, **said, "panels": [panel.model_dump() for panel in panels]}
    )


@router.get(
    "/{pack}/panels/{panel}", response_model=PanelRowsModel, summary="The rows behind a panel"
)
async def get_panel(
    shared: Shared,
    pack: _PackName,
    panel: Annotated[str, Path(description="`name` of the panel", examples=["errors-by-source"])],
    start: _Start = "",
    end: _End = "",
) -> Response:
    """Run the panel's SQL for a time."""
    found, dashboard = find_dashboard(shared, pack)
    span = Span.parse(start, end, dashboard.range, shared.now())
    answer = await ask(shared.store, find_panel(found, dashboard, panel), span)
    result = answer.result
    return _json(
        {
            "rows": result.dicts(),
            "next": None,
            "statistics": asdict(result.statistics),
            "sql": answer.panel.sql,
            "parameters": answer.parameters,
            "types": dict(zip(result.columns, result.types, strict=True)),
        }
    )


def _json(value: object) -> Response:
    """A value as JSON that no cache keeps; what JSON has no form for becomes text."""
    options = orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS
    try:
        content = orjson.dumps(value, default=_plain, option=options)
    except orjson.JSONEncodeError:
        content = orjson.dumps(_with_long_integers(value), default=_plain, option=options)
    return Response(content, media_type="application/json", headers={"Cache-Control": "no-store"})


def _with_long_integers(value: object) -> object:
    """The value with all digits of integers beyond 64 bits, which orjson does not write."""
    match value:
        case bool():
            return value
        case int() if not -(2**63) <= value < 2**64:
            return orjson.Fragment(str(value))
        case dict():
            return {name: _with_long_integers(one) for name, one in value.items()}
        case list() | tuple():
            return [_with_long_integers(one) for one in value]
        case _:
            return value


def _plain(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)

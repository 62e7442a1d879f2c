"""How rows of any table are shown: the columns of the list, the fields of one row, its links.

`/rows/{id}` is the inside of an open row, which a page with scripts puts under the row.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from fastapi import APIRouter
from fastapi.responses import HTMLResponse
from starlette.exceptions import HTTPException

from tailrace.search.rows import LogRow, RowId
from tailrace.search.table import Table
from tailrace.web.context import Shared
from tailrace.web.parameters import Searched, SearchState, keep

router = APIRouter(prefix="/rows", include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the list. `role` says how it looks."""

    name: str
    column: str
    label: str
    role: str


@dataclass(frozen=True, slots=True)
class FieldOfRow:
    """A field of an open row; `term` is its name in a search, '' where it cannot be searched."""

    name: str
    text: str
    term: str = ""


def columns_of(state: SearchState) -> list[Column]:
    """The columns of the list."""
    return _columns(state.table, state.columns or state.table.columns)


def listable(table: Table) -> list[Column]:
    """The columns that can be chosen for the list."""
    return _columns(table, map(table.label, table.explore.listable))


def _columns(table: Table, names: Iterable[str]) -> list[Column]:
    return [
        Column(name, column, name.replace("_", " ").capitalize(), _role(table, column))
        for name in names
        if (column := table.column_of(name)) is not None
    ]


def _role(table: Table, column: str) -> str:
    if column == table.time:
        return "timestamp"
    match table.fields[column]:
        case "level":
            return "level"
        case "message":
            return "message"
        case "number":
            return "figure"
        case _:
            return "source"


def listed(rows: Iterable[LogRow]) -> Iterator[tuple[LogRow, str, bool]]:
    """Rows with their ids, and whether each is the first of its id: those that are alike share one."""
    seen: set[str] = set()
    for row in rows:
        row_id = row.row_id.encode()
        yield row, row_id, row_id not in seen
        seen.add(row_id)


def shape_of(state: SearchState) -> dict[str, Any]:
    """What the scripts that build rows have to know of the table."""
    table = state.table
    return {
        "table": table.name if state.is_named else "",
        "time": table.time,
        "has_fractions": table.fields[table.time] == "moment",
        "level": table.explore.level,
        "columns": [asdict(column) for column in columns_of(state)],
    }


def fields_of(row: LogRow) -> list[FieldOfRow]:
    """Every field that says something: messages first, attributes by their names, arrival last."""
    table = row.table
    by_kind: dict[str, list[FieldOfRow]] = {}
    for column, kind in table.fields.items():
        if kind == "attributes":
            found = [
                FieldOfRow(f"{column}.{name}", text, name)
                for name, text in sorted(row.values[column].items())
            ]
        else:
            term = "" if kind in ("moment", "second", "message") else table.label(column)
            found = [FieldOfRow(table.label(column), row.text(column), term)]
        by_kind.setdefault("time" if column == table.time else kind, []).extend(found)
    plain = [*by_kind.get("text", ()), *by_kind.get("number", ())]
    return [
        *by_kind.get("message", ()),
        *by_kind["time"],
        *by_kind.get("level", ()),
        *(one for one in plain if one.text),
        *by_kind.get("attributes", ()),
        *by_kind.get("second", ()),
        *by_kind.get("moment", ()),
    ]


def row_links(state: SearchState) -> dict[str, Callable[..., Any]]:
    """What the template of an open row calls for its fields and links."""

    def context_url(row: LogRow) -> str:
        """The rows around one row, of its source and host, whatever the search."""
        table = row.table
        alike = {
            name: row.text(column)
            for name, column in table.filters.items()
            if table.fields[column] == "text"
        }
        row_id = row.row_id.encode()
        return f"{state.with_only(**alike).url(open=row_id)}#{row_id}"

    def json_url(row: LogRow) -> str:
        bare = SearchState(state.table, state.is_named)
        return bare.url(f"/api/v1/logs/{row.row_id.encode()}")

    return {
        "fields_of": fields_of,
        "keep_url": lambda name, value: _term_url(state, keep(name, value)),
        "exclude_url": lambda name, value: _term_url(state, f"-{keep(name, value)}"),
        "context_url": context_url,
        "json_url": json_url,
    }


def _term_url(state: SearchState, term: str) -> str:
    text = state.q.strip()
    joined = f"({text}) {term}" if " OR " in text else f"{text} {term}".strip()
    return replace(state, q=joined, cursor="").url()


@router.get("/{row_id}")
async def open_row(shared: Shared, state: Searched, row_id: str) -> HTMLResponse:
    """One row, whole, with links that keep the search."""
    row = await shared.search.row(RowId.decode(row_id), state.table)
    if row is None:
        raise HTTPException(404, f"cannot find the row {row_id!r}: it may have been deleted by age")
    html = shared.renderer.render("row.html", row=row, here=state, **row_links(state))
    return HTMLResponse(html, headers={"Cache-Control": "no-store"})

"""`tailrace rejected`: what could not be stored, and what becomes of it."""

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from itertools import groupby
from typing import Annotated

import httpx
import orjson
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tailrace.cli._doors import Door, HttpDoor, Pipeline, find_door
from tailrace.cli.options import ClickhouseUrl, DataDir, EnginePort, IntakeHttp
from tailrace.cli.terminal import ending_quietly, note
from tailrace.clock import utc_now
from tailrace.collect.books import note_removed_rows
from tailrace.errors import UsageError
from tailrace.packs import find_usable
from tailrace.search.times import parse_range
from tailrace.search.visible import visible_text
from tailrace.settings import Settings
from tailrace.store import Store
from tailrace.store.rejected import RejectedFilter, RejectedLine, RejectedTable

ROWS_AT_ONCE = 200
TIMEOUT_SECS = 60.0
_RAW_WIDTH = 60


class Action(StrEnum):
    """What to do with the rows."""

    LIST = "list"
    RETRY = "retry"
    DROP = "drop"


def rejected(  # noqa: PLR0913 — each is a flag
    action: Annotated[Action, typer.Argument(help="list, retry or drop")] = Action.LIST,
    ids: Annotated[
        list[str] | None, typer.Option("--id", help="Only this row; may be repeated")
    ] = None,
    component: Annotated[str, typer.Option(help="Only what this component rejected")] = "",
    reason: Annotated[str, typer.Option(help="Only rows with this in their reason")] = "",
    peer: Annotated[str, typer.Option(help="Only what this address sent")] = "",
    since: Annotated[str, typer.Option(help="From then on: 15m, 2026-11-22T10:00Z")] = "",
    until: Annotated[str, typer.Option(help="Before then")] = "",
    every: Annotated[bool, typer.Option("--all", help="retry, drop: without any filter")] = False,
    limit: Annotated[int, typer.Option(min=1, help="list: the newest, at most so many")] = 100,
    json: Annotated[bool, typer.Option("--json", help="JSON lines on a terminal, too")] = False,
    to: Annotated[
        str,
        typer.Option(
            metavar="URL",
            help="retry: where to, by HTTP POST; by default the way in of the pack that rejected it",
        ),
    ] = "",
    intake_http: IntakeHttp = None,
    data_dir: DataDir = None,
    clickhouse: ClickhouseUrl = None,
    engine_port: EnginePort = None,
) -> None:
    """List what was rejected, send it again, or drop it.

    `retry` sends the bytes as they came where they came in: to the HTTP source of the pack whose
    component rejected them, else to the end of the file that it follows, else into the table. A row is
    removed only when it is safe there; what is still no good comes back with its new reason.
    """
    settings = Settings.read(
        clickhouse_url=clickhouse,
        engine_port=engine_port,
        intake_http=intake_http,
        data_dir=data_dir,
    )
    # What is rejected again while we send it is not ours to send once more.
    now = utc_now()
    given = parse_range(since, until, now)
    wanted = RejectedFilter(
        tuple(ids or ()), component, peer, reason, given.start, given.end or now
    )
    if action is not Action.LIST and wanted.is_empty and not every:
        raise UsageError(f"cannot {action} every row unasked: give a filter, or --all")
    with ending_quietly(), Store.from_settings(settings) as store:
        table = RejectedTable(store, settings.rejected_table)
        if action is Action.LIST:
            _print(table.find(wanted, limit), as_json=json or not sys.stdout.isatty())
        elif action is Action.RETRY:
            with httpx.Client(timeout=TIMEOUT_SECS, trust_env=False) as client:
                _retry(table, wanted, settings, Doors(settings, store, client, to))
        else:
            count = sum(_drop(table, rows, settings) for rows in _parts(table, wanted))
            note(f"dropped {count:,} rows")


def _parts(table: RejectedTable, wanted: RejectedFilter) -> Iterator[list[RejectedLine]]:
    ids = table.ids(wanted)
    for first in range(0, len(ids), ROWS_AT_ONCE):
        part = tuple(ids[first : first + ROWS_AT_ONCE])
        yield table.find(RejectedFilter(ids=part), sys.maxsize)


def _drop(table: RejectedTable, rows: Sequence[RejectedLine], settings: Settings) -> int:
    """Remove rows, and tell the books, which `tailrace doctor` adds up."""
    if rows:
        table.delete([row.id for row in rows])
        moments = Counter(round(row.received_at.timestamp() * 1000) for row in rows)
        note_removed_rows(settings.data_dir / "buffer", moments)
    return len(rows)


@dataclass
class Doors:
    """Where the rows of each component go; with `to`, all of them there."""

    settings: Settings
    store: Store
    client: httpx.Client
    to: str
    _known: dict[str, Door | None] = field(default_factory=dict)

    def of(self, component: str) -> Door | None:
        """None, and a note, where there is no way."""
        if self.to:
            return HttpDoor(self.client, self.to)
        if component not in self._known:
            try:
                self._known[component] = find_door(
                    component, self._pipelines, self.store, self.client
                )
            except UsageError as error:
                note(str(error))
                self._known[component] = None
        return self._known[component]

    @cached_property
    def _pipelines(self) -> list[Pipeline]:
        packs, _ = find_usable(self.settings)
        return [Pipeline.of(pack, self.settings) for pack in packs if pack.pipeline]


def _retry(table: RejectedTable, wanted: RejectedFilter, settings: Settings, doors: Doors) -> None:
    sent: Counter[str] = Counter()
    stay = 0
    for part in _parts(table, wanted):
        for component, found in groupby(sorted(part, key=_component), _component):
            rows, door = list(found), doors.of(component)
            good = door.send(rows) if door else []
            stay += len(rows) - len(good)
            if door and good:
                sent[door.name] += _drop(table, good, settings)
    for name, count in sent.items():
        note(f"sent {count:,} rows again, to {name}")
    if stay:
        note(f"{stay:,} rows were not taken and stay")
        raise typer.Exit(1)
    if not sent:
        note("nothing is rejected that matches")


def _component(row: RejectedLine) -> str:
    return row.component_id


def _print(rows: Sequence[RejectedLine], *, as_json: bool) -> None:
    if as_json:
        for row in rows:
            sys.stdout.buffer.write(_as_json(row) + b"\n")
        sys.stdout.buffer.flush()
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("id", "received_at", "component", "peer", "reason", "raw"):
        table.add_column(name, overflow="fold")
    for row in rows:
        raw = row.raw[:_RAW_WIDTH].decode(errors="replace")
        cells = (row.id, _time(row.received_at), row.component_id, row.peer, row.reason, raw)
        table.add_row(*(Text(visible_text(cell)) for cell in cells))
    Console(highlight=False).print(table)
    if not rows:
        note("nothing is rejected that matches")


def _as_json(row: RejectedLine) -> bytes:
    return orjson.dumps(
        {
            "id": row.id,
            "received_at": _time(row.received_at),
            "component_id": row.component_id,
            "peer": row.peer,
            "reason": row.reason,
            "raw": row.raw.decode(errors="replace"),
        }
    )


def _time(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

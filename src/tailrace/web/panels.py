"""Finds the dashboards of packs, and asks ClickHouse a panel's question, read-only and with limits.

A file is read anew when it changes, so that whoever writes one sees it by loading the page again. A
wrong file is an error of its own dashboard alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from tailrace.errors import ConfigurationError, QueryError, StoreError, TableMissingError
from tailrace.packs import Pack
from tailrace.packs.dashboard import FILE_NAME, Dashboard, Panel, read_dashboard
from tailrace.packs.description import Description
from tailrace.search.logs import Reader
from tailrace.search.summary import step_for
from tailrace.search.times import parse_range
from tailrace.store import Limits, Result

MAX_ROWS: Final = {"time_series": 10_000, "bar": 50, "table": 200, "value": 1}
MAX_SECONDS: Final = 15.0

_TABLES = "SELECT concat(database, '.', name) FROM system.tables WHERE has({names:Array(String)}, concat(database, '.', name))"


@dataclass(frozen=True)
class Found:
    """A pack's dashboard, or what is wrong with its file."""

    pack: Pack
    dashboard: Dashboard | None
    problem: ConfigurationError | None = None

    @property
    def title(self) -> str:
        """The dashboard's title, or the pack's name where the file is wrong."""
        return self.dashboard.title if self.dashboard else self.pack.name


@dataclass
class Dashboards:
    """The dashboards of these packs."""

    packs: Sequence[Pack]
    _read: dict[Path, tuple[int, Found]] = field(default_factory=dict)

    def all(self) -> list[Found]:
        """Every pack's dashboard, in the order of packs; a pack without one has none."""
        return [
            self._found(pack, pack.folder / FILE_NAME)
            for pack in self.packs
            if (pack.folder / FILE_NAME).is_file()
        ]

    def find(self, name: str) -> Found | None:
        """The dashboard of the pack of that name."""
        return next((found for found in self.all() if found.pack.name == name), None)

    def _found(self, pack: Pack, path: Path) -> Found:
        changed_ns = path.stat().st_mtime_ns
        known = self._read.get(path)
        if known is None or known[0] != changed_ns:
            try:
                found = Found(pack, _checked(read_dashboard(path), path))
            except ConfigurationError as error:
                found = Found(pack, None, error)
            known = self._read[path] = (changed_ns, found)
        return known[1]


def _checked(dashboard: Dashboard, path: Path) -> Dashboard:
    """The dashboard; ConfigurationError where its range is none."""
    try:
        Span.parse("", "", dashboard.range, datetime.now(UTC))
    except (QueryError, ConfigurationError) as error:
        raise Description.read(path).wrong(("range",), str(error)) from error
    return dashboard


@dataclass(frozen=True)
class Span:
    """The time that panels show: from `start` up to `end`, cut into steps."""

    start: datetime
    end: datetime

    @classmethod
    def parse(cls, start: str, end: str, usual: str, now: datetime) -> "Span":
        """The range as typed; `usual` is how far it goes back where no start is given."""
        typed = parse_range(start, end, now)
        until = typed.end or now
        since = typed.start or parse_range(usual, "", until).start
        if since is None:
            raise ConfigurationError(f"cannot use the range {usual!r}: write 15m, 1h or 24h")
        # Checked once more: the start may lie behind now, which is the end that nobody typed.
        parse_range(since.isoformat(), until.isoformat(), now)
        return cls(since, until)

    @property
    def step(self) -> timedelta:
        """The length of one step."""
        return step_for(self.end - self.start)

    @property
    def first(self) -> datetime:
        """Where the first step begins: at or before the start."""
        step_secs = int(self.step.total_seconds())
        return datetime.fromtimestamp(int(self.start.timestamp()) // step_secs * step_secs, UTC)


@dataclass(frozen=True)
class Answer:
    """What a panel's question was answered with."""

    panel: Panel
    span: Span
    result: Result
    parameters: dict[str, str | int]


async def ask(store: Reader, panel: Panel, span: Span) -> Answer:
    """Run a panel's SQL. A time series begins with a whole step."""
    start = span.first if panel.kind == "time_series" else span.start
    parameters: dict[str, str | int] = {
        # As seconds since 1970: a text would be taken in ClickHouse's own time zone.
        "from": f"{start.timestamp():.3f}",
        "to": f"{span.end.timestamp():.3f}",
        "step": int(span.step.total_seconds()),
    }
    limits = Limits(max_seconds=MAX_SECONDS, max_rows=MAX_ROWS[panel.kind])
    result = await store.aquery(panel.sql, parameters, limits=limits)
    return Answer(panel, span, result, parameters)


def explain(error: StoreError, pack: Pack) -> str:
    """What went wrong with a panel, and what to do where that is known."""
    if isinstance(error, TableMissingError):
        return (
            f"cannot ask a table that is not there: `tailrace setup {pack.name}` makes those of the "
            f"pack {pack.name}. ClickHouse says: {error}"
        )
    return str(error)


async def tables_there(store: Reader, names: Sequence[str]) -> set[str]:
    """Which of these tables, each `database.table`, ClickHouse has."""
    result = await store.aquery(_TABLES, {"names": list(names)}, limits=Limits(max_seconds=5))
    return {str(row[0]) for row in result.rows}

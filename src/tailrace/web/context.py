"""What the routes share, put together once by `create_app` and handed to each by FastAPI."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, cast

from fastapi import Depends, Request

from tailrace.clock import Clock
from tailrace.packs import Pack
from tailrace.search.logs import LogSearch, Reader
from tailrace.search.summary import Summaries
from tailrace.search.table import Tables
from tailrace.settings import Settings
from tailrace.web.delivery import Collectors
from tailrace.web.intake.forward import Forwarder
from tailrace.web.live import LiveHub
from tailrace.web.metrics import WebMetrics
from tailrace.web.panels import Dashboards
from tailrace.web.render import Renderer
from tailrace.web.streams import Streams


@dataclass(frozen=True)
class Context:
    """The parts that answer requests."""

    settings: Settings
    store: Reader
    clock: Clock
    packs: tuple[Pack, ...]
    """Those that run here, with those that they require."""
    tables: Tables
    search: LogSearch
    summaries: Summaries
    hub: LiveHub
    collectors: Collectors
    dashboards: Dashboards
    forwarder: Forwarder
    streams: Streams
    metrics: WebMetrics
    renderer: Renderer

    def now(self) -> datetime:
        """The current moment in UTC, by the clock."""
        return datetime.fromtimestamp(self.clock.now_ms() / 1000, UTC)


async def _context(request: Request) -> Context:
    return cast(Context, request.app.state.context)


Shared = Annotated[Context, Depends(_context)]

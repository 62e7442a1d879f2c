"""Puts the web application together: what it is made of is passed in, and nothing runs on import."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Final

import httpx
from fastapi import FastAPI

from tailrace import __version__
from tailrace.clock import Clock, SystemClock
from tailrace.collectors import addresses
from tailrace.errors import ConfigurationError
from tailrace.packs import Pack, find_required, find_usable
from tailrace.search.logs import LogSearch, Reader
from tailrace.search.summary import Summaries
from tailrace.search.table import Tables
from tailrace.settings import Settings
from tailrace.store import Limits
from tailrace.telemetry import get_logger, new_registry
from tailrace.web import problems
from tailrace.web.api import dashboards as api_dashboards
from tailrace.web.api import health
from tailrace.web.api import logs as api_logs
from tailrace.web.api import streams as api_streams
from tailrace.web.context import Context
from tailrace.web.delivery import Collectors
from tailrace.web.intake import elasticsearch, influx, loki
from tailrace.web.intake.forward import Forwarder
from tailrace.web.live import LiveHub
from tailrace.web.metrics import CountRequests, WebMetrics
from tailrace.web.pack_routes import routes_of
from tailrace.web.pages import dashboards as page_dashboards
from tailrace.web.pages import docs
from tailrace.web.pages import logs as page_logs
from tailrace.web.pages import rows as page_rows
from tailrace.web.pages import streams as page_streams
from tailrace.web.pages import topic as page_topic
from tailrace.web.panels import Dashboards
from tailrace.web.render import Renderer
from tailrace.web.security import SecurityHeaders
from tailrace.web.static_files import StaticFiles
from tailrace.web.streams import Streams

_log = get_logger("web")

SUMMARY_LIMITS: Final = Limits(max_seconds=1.0)
"""For the counts around the rows, together: a page waits no longer for those of its range, and where
they are not done in time, no longer for those of the last hour."""


FOREIGN_ERRORS: Final[Mapping[str, problems.ErrorForm]] = {
    elasticsearch.PREFIX: elasticsearch.error_answer,
    loki.PREFIX: loki.error_answer,
    influx.WRITE_V1: influx.error_answer_v1,
    influx.QUERY: influx.error_answer_v1,
    influx.WRITE_V2: influx.error_answer_v2,
}
"""The forms that errors have below these paths."""


def create_app(settings: Settings, store: Reader, clock: Clock | None = None) -> FastAPI:
    """The application over a store. Its lifespan runs the live tail's reader."""
    clock = clock or SystemClock()
    packs = _usable(settings)
    static = StaticFiles(packs)
    context = _context(settings, store, clock, static, packs)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        reader = asyncio.create_task(context.hub.run())
        try:
            yield
        finally:
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)
            await context.collectors.close()
            await context.forwarder.close()
            context.streams.close()

    app = FastAPI(
        title="Tailrace",
        version=__version__,
        description="Search, page through and follow logs. Errors are problem JSON (RFC 9457).",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        openapi_url="/openapi.json",
        lifespan=lifespan,
    )
    app.state.context = context
    problems.install(app, context.renderer, FOREIGN_ERRORS)
    for router in (
        api_logs.router,
        health.router,
        docs.router,
        page_logs.router,
        page_rows.router,
        page_dashboards.router,
        api_dashboards.router,
        page_streams.router,
        page_topic.router,
        api_streams.router,
        elasticsearch.router,
        loki.router,
        influx.router,
        static.router(),
    ):
        app.include_router(router)
    for pack in packs:
        try:
            app.include_router(routes_of(pack, store, clock, context.renderer, app.routes))
        except ConfigurationError as error:
            _log.error("a pack's routes are left out", pack=pack.name, problem=str(error))
    app.add_middleware(SecurityHeaders)
    app.add_middleware(CountRequests, metrics=context.metrics, clock=clock)
    return app


def _usable(settings: Settings) -> list[Pack]:
    """The packs that can be used; what is wrong with others is said, and stops none of these."""
    packs, wrong = find_usable(settings)
    for problem in wrong:
        _log.error("a pack is left out", problem=str(problem))
    return packs


def _context(
    settings: Settings, store: Reader, clock: Clock, static: StaticFiles, packs: Sequence[Pack]
) -> Context:
    def now() -> datetime:
        return datetime.fromtimestamp(clock.now_ms() / 1000, UTC)

    client = httpx.AsyncClient(trust_env=False)
    return Context(
        settings=settings,
        store=store,
        clock=clock,
        packs=tuple(find_required(settings, settings.packs.split())),
        tables=Tables.of(packs),
        search=LogSearch(store),
        summaries=Summaries(store, SUMMARY_LIMITS),
        hub=LiveHub(store, now),
        collectors=Collectors(
            addresses(settings), client, clock, is_vector=settings.collector == "vector"
        ),
        forwarder=Forwarder(settings.intake_http, httpx.AsyncClient(trust_env=False)),
        dashboards=Dashboards(packs),
        streams=Streams(settings, clock),
        metrics=WebMetrics(new_registry()),
        renderer=Renderer(static),
    )

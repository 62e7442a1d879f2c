"""Serves the packs' own routes, each with the database and the time that it asks for.

What a pack asks is held to the limits below and can only read. Where its tables are not there, the
answer is 503 with the command that makes them.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute, Match

from tailrace.clock import Clock
from tailrace.errors import ConfigurationError, StoreError, TableMissingError
from tailrace.packs import Pack
from tailrace.search.logs import Reader
from tailrace.store import Limits
from tailrace.web.render import Renderer

PACK_LIMITS: Final = Limits(max_seconds=30.0, max_rows=1_000_000)


@dataclass(frozen=True)
class PackHost:
    """The `Host` of one pack's routes."""

    pack: Pack
    store: Reader
    clock: Clock
    renderer: Renderer

    async def query(
        self, sql: str, parameters: Mapping[str, Any] | None = None
    ) -> list[tuple[Any, ...]]:
        """All rows; an answer that would be cut short is an error."""
        try:
            result = await self.store.aquery(sql, parameters, limits=PACK_LIMITS)
        except TableMissingError as error:
            raise TableMissingError(
                f"cannot answer: the tables of {self.pack.name!r} are not there. "
                f"`tailrace setup {self.pack.name}` makes them",
                code=error.code,
            ) from error
        if result.statistics.limit:
            raise StoreError(
                f"cannot give the whole answer: it has more than {PACK_LIMITS.max_rows:,} rows"
            )
        return result.rows

    def now(self) -> datetime:
        """The current moment, UTC."""
        return datetime.fromtimestamp(self.clock.now_ms() / 1000, UTC)

    def page(self, template: str, **values: object) -> str:
        """The HTML of one of the pack's own templates."""
        return self.renderer.render(template, **values)


def routes_of(
    pack: Pack,
    store: Reader,
    clock: Clock,
    renderer: Renderer,
    before: Sequence[BaseRoute] = (),
) -> APIRouter:
    """The routes of a pack, under its name in `/docs`.

    Raises ConfigurationError where its code fails, and where one of its routes would never be
    asked, because one of those `before` takes all of its requests.
    """
    router = APIRouter(tags=[pack.name])
    if pack.routes is not None:
        made = pack.call(pack.routes, PackHost(pack, store, clock, renderer.of_pack(pack)))
        if not isinstance(made, APIRouter):
            raise ConfigurationError(
                f"cannot serve the routes of the pack {pack.name!r}: {pack.routes!r} in "
                f"{pack.folder} gives {made!r}, and must give an APIRouter"
            )
        for route in made.routes:
            _refuse_taken(pack, route, before)
        router.include_router(made)
    return router


def _refuse_taken(pack: Pack, route: BaseRoute, before: Sequence[BaseRoute]) -> None:
    if not isinstance(route, APIRoute):
        return
    # Any value will do for what is variable in the path: digits are text and numbers.
    path = re.sub(r"\{[^}]*\}", "0", route.path)
    for method in sorted(route.methods or ()):
        asked = {"type": "http", "method": method, "path": path, "root_path": "", "headers": []}
        if any(one.matches(asked)[0] is Match.FULL for one in before):
            raise ConfigurationError(
                f"cannot serve the routes of the pack {pack.name!r}: {method} {route.path} is served "
                "already, by Tailrace itself or by a pack before it. Give it another path"
            )

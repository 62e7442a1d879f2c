"""What a pack's routes get from the program that serves them.

`pack.yaml` names a function as `routes: module:name`. It is called once with a Host and gives a
FastAPI router, whose paths are served as they are and appear in `/docs` under the pack's name.
An `HTTPException` of a route, and whatever `query` raises, is answered as problem JSON.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from fastapi import APIRouter


class Host(Protocol):
    """The database and the time. Any number of requests may use it at once."""

    async def query(
        self, sql: str, parameters: Mapping[str, Any] | None = None
    ) -> list[tuple[Any, ...]]:
        """All rows of the answer to `sql`, whose `{name:Type}` are bound to `parameters`.

        It can only read, and may not take longer or give more than the host allows; that, a
        ClickHouse that is away and tables that are not there yet become answers of their own.
        """

    def now(self) -> datetime:
        """The current moment, UTC."""

    def page(self, template: str, **values: object) -> str:
        """The HTML of a template in the pack's folder `templates/`, in the look of the other pages.

        It extends `pack.html` and fills the block `page`. Every text is escaped. In it, `own(name)`
        is the address of a file in the pack's folder `static/`, `static(name)` that of one of the
        program's own: the page's policy runs no script and takes no style but such files.
        """


class RouterFactory(Protocol):
    """What `routes:` in `pack.yaml` names."""

    def __call__(self, host: Host) -> APIRouter:
        """The pack's routes, each with a summary and examples."""

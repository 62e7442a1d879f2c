"""`/healthz`, `/readyz` and `/metrics`."""

from itertools import chain

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from tailrace.errors import StoreError, StoreUnavailableError
from tailrace.packs import Pack
from tailrace.web.context import Context, Shared
from tailrace.web.panels import tables_there
from tailrace.web.problems import problem

router = APIRouter(tags=["health"])


@router.head("/healthz", include_in_schema=False)
@router.get("/healthz", summary="Alive", response_class=Response)
async def healthz() -> Response:
    """200 for as long as the process answers."""
    return Response("ok\n", media_type="text/plain")


@router.head("/readyz", include_in_schema=False)
@router.get("/readyz", summary="Ready to serve", response_class=Response)
async def readyz(shared: Shared) -> Response:
    """200 once ClickHouse answers, the tables of the packs that run (TAILRACE_PACKS) are there and all
    collectors are ready; 503 says which part, pack, tables and collectors are missing."""
    missing = await _missing(shared)
    if missing:
        return problem(503, f"not ready yet: {missing}", {"Retry-After": "1"})
    return Response("ok\n", media_type="text/plain")


async def _missing(shared: Context) -> str | None:
    wanted = {pack.name: _tables(pack) for pack in shared.packs}
    try:
        there = await tables_there(shared.store, list(chain.from_iterable(wanted.values())))
    except StoreUnavailableError:
        return f"ClickHouse at {shared.settings.clickhouse_address} does not answer"
    except StoreError as error:
        return str(error)
    missing = {name: [one for one in tables if one not in there] for name, tables in wanted.items()}
    if any(missing.values()):
        return "; ".join(
            f"tables of the pack {name!r} are not there: {', '.join(tables)}. "
            f"`tailrace setup {name}` makes them"
            for name, tables in missing.items()
            if tables
        )
    return "; ".join(await shared.collectors.problems()) or None


def _tables(pack: Pack) -> list[str]:
    """The tables that a pack.yaml names."""
    return sorted({*pack.retention, *([pack.table] if pack.table else ())})


@router.get("/metrics", summary="Prometheus metrics", response_class=Response)
async def metrics(shared: Shared) -> Response:
    """What this process counts."""
    return Response(
        generate_latest(shared.metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
    )

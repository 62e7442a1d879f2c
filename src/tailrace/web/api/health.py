"""`/healthz`, `/readyz` and `/metrics`."""

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from tailrace.errors import StoreError, StoreUnavailableError
from tailrace.store import Limits
from tailrace.web.context import Context, Shared
from tailrace.web.problems import problem

router = APIRouter(tags=["health"])

_TABLE_IS_THERE = (
    "SELECT count() FROM system.tables WHERE database = 'logs' AND name = {name:String}"
)


@router.head("/healthz", include_in_schema=False)
@router.get("/healthz", summary="Alive", response_class=Response)
async def healthz() -> Response:
    """200 for as long as the process answers."""
    return Response("ok\n", media_type="text/plain")


@router.head("/readyz", include_in_schema=False)
@router.get("/readyz", summary="Ready to serve", response_class=Response)
async def readyz(shared: Shared) -> Response:
    """200 once ClickHouse answers, its tables are there and the collector is ready."""
    missing = await _missing(shared)
    if missing:
        return problem(503, f"not ready yet: {missing}", {"Retry-After": "1"})
    return Response("ok\n", media_type="text/plain")


async def _missing(shared: Context) -> str | None:
    try:
        tables = await shared.store.aquery(
            _TABLE_IS_THERE, {"name": "application_logs"}, limits=Limits(max_seconds=5)
        )
    except StoreUnavailableError:
        return f"ClickHouse at {shared.settings.clickhouse_address} does not answer"
    except StoreError as error:
        return str(error)
    if not tables.value():
        return "the table logs.application_logs is not there; `tailrace setup` makes it"
    if not await shared.collector.is_ready():
        return f"the collector at {shared.collector.address} is not ready"
    return None


@router.get("/metrics", summary="Prometheus metrics", response_class=Response)
async def metrics(shared: Shared) -> Response:
    """What this process counts."""
    return Response(
        generate_latest(shared.metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
    )

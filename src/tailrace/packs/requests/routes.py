"""Each customer's service level, by HTTP.

The paths and answers below `/customers` are those of the system that this kind of data comes from;
docs/packs/requests.md defines every number. All of them come from the rollups of `schema/`.
"""

from datetime import UTC, date, datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, HTTPException, Query
from fastapi import Path as PathParameter
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field

from tailrace.packs.host import Host
from tailrace.packs.requests.classes import at_place
from tailrace.packs.requests.levels import ServiceLevelObjectives, ServiceLevels
from tailrace.packs.requests.questions import PLACES, read_sql

FIRST_DAY: Final = date(1970, 1, 1)
"""The earliest day that a row can have."""
EVERYBODY: Final = ""
"""The customer whose rows in the rollups are those of all together."""

_PROBLEM: Final[dict[str, Any]] = {"content": {"application/problem+json": {}}}
PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    404: {"description": "There are no such requests", **_PROBLEM},
    422: {"description": "A parameter cannot be used", **_PROBLEM},
    503: {"description": "ClickHouse is away, or the tables are not there", **_PROBLEM},
}


class Stats(BaseModel):
    """What became of requests, and how long their answers took in seconds."""

    total_requests: int = Field(examples=[5])
    successful_requests: int = Field(examples=[3], description="Status below 400")
    failed_requests: int = Field(examples=[2], description="Status 400 and above")
    uptime: float = Field(examples=[60.0], description="Per cent of requests that succeeded")
    average_latency: float = Field(examples=[0.84])
    median_latency: float = Field(examples=[0.7])
    p99_latency: float = Field(examples=[1.5])


FromDate = Annotated[
    str,
    Query(description="First day, UTC, as YYYY-MM-DD", examples=["1970-01-01", "2026-11-01"]),
]
CustomerId = Annotated[str, PathParameter(min_length=1, examples=["cust_1"])]


def router(host: Host) -> APIRouter:
    """The pack's routes."""
    made = APIRouter()
    customers = Customers(host)
    made.add_api_route(
        # Of a path, since a customer may have a slash in its name.
        "/customers/{customer_id:path}/stats",
        customers.stats,
        response_model=Stats,
        responses=PROBLEMS,
        summary="One customer's requests",
    )
    made.add_api_route(
        "/customers/customer/stats/all",
        customers.all_stats,
        response_model=Stats,
        responses=PROBLEMS,
        summary="All customers' requests",
    )
    made.add_api_route(
        "/api/v1/requests/slo",
        ServiceLevelObjectives(host).slo,
        response_model=ServiceLevels,
        responses={status: PROBLEMS[status] for status in (422, 503)},
        summary="Error budgets, burn rates and Apdex",
    )
    return made


class Customers:
    """Answers how requests went since a day."""

    def __init__(self, host: Host) -> None:
        self._host = host

    async def stats(self, customer_id: CustomerId, from_date: FromDate) -> Stats:
        """Requests of one customer since the beginning of a day."""
        return await self._since(from_date, customer_id, f" of the customer {customer_id!r}")

    async def all_stats(self, from_date: FromDate) -> Stats:
        """Requests of all customers together since the beginning of a day."""
        return await self._since(from_date, EVERYBODY, "")

    async def _since(self, from_date: str, customer_id: str, whose: str) -> Stats:
        first = read_day(from_date, self._host.now())
        asked = {"customer_id": customer_id, "from_date": first}
        classes = await self._host.query(read_sql("classes"), asked)
        if not classes:
            raise HTTPException(404, f"cannot find requests{whose} since {first}: there are none")
        counts = [(upto, requests) for upto, requests, *_ in classes]
        total = sum(requests for _, requests in counts)
        median, p99 = (at_place(counts, place) for place in (median_place(total), p99_place(total)))
        latencies = await self._host.query(
            read_sql("milliseconds"), {**asked, "classes": sorted({median[0], p99[0]})}
        )
        failed = sum(failed for _, _, failed, _ in classes)
        micros = sum(micros for *_, micros in classes)
        return Stats(
            total_requests=total,
            successful_requests=total - failed,
            failed_requests=failed,
            uptime=round(100 * (total - failed) / total, PLACES),
            average_latency=round(micros / total / 1e6, PLACES),
            median_latency=round(_latency_ms(latencies, *median) / 1000, PLACES),
            p99_latency=round(_latency_ms(latencies, *p99) / 1000, PLACES),
        )


def median_place(total: int) -> int:
    """Where the median stands in ascending order, counted from 0."""
    return total // 2


def p99_place(total: int) -> int:
    """Where the value stands that 99 % do not exceed; the last of fewer than a hundred."""
    return total * 99 // 100 - 1 if total >= 100 else total - 1


def _latency_ms(latencies: list[tuple[Any, ...]], of_class: int, place: int) -> int:
    """The latency at a place within a class."""
    counts = [(ms, requests) for upto, ms, requests in latencies if upto == of_class]
    return at_place(counts, place)[0]


def read_day(text: str, now: datetime) -> date:
    """The day of `YYYY-MM-DD`; a wrong one or one of the future is answered with 422."""
    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError:
        raise _wrong_day(text, "give a day as 2026-01-31") from None
    if day > now.date():
        raise _wrong_day(text, f"it is in the future: today is {now.date()}, UTC")
    return max(day, FIRST_DAY)


def _wrong_day(text: str, why: str) -> RequestValidationError:
    error = {
        "type": "value_error",
        "loc": ("query", "from_date"),
        "msg": f"cannot use {text!r}: {why}",
        "input": text,
    }
    return RequestValidationError([error])

"""Each customer's service level, by HTTP.

The paths and answers below `/customers` are those of the system that this kind of data comes from;
docs/packs/requests.md defines every number. All of them come from the rollups of `schema/`.
"""

from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, HTTPException, Query
from fastapi import Path as PathParameter
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field

from tailrace.packs.host import Host
from tailrace.packs.requests.objectives import WINDOWS, Objective, apdex

QUERIES: Final = Path(__file__).with_name("queries")
PLACES: Final = 5
FIRST_DAY: Final = date(1970, 1, 1)
"""The earliest day that a row can have."""
MAX_SLO_ROWS: Final = 1000

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


class Budget(BaseModel):
    """The requests of the period that may fail."""

    allowed: float = Field(examples=[48.2], description="How many of these requests may fail")
    used: int = Field(examples=[31], description="How many did")
    left: float = Field(examples=[0.35685], description="Share that is left; below 0: overdrawn")


class ServiceLevel(BaseModel):
    """How one customer, path, or both stand to the objective."""

    customer_id: str | None = Field(None, examples=["cust_1"])
    path: str | None = Field(None, examples=["/api/v1/resource1"])
    requests: int = Field(examples=[48200])
    failed: int = Field(examples=[31])
    availability: float = Field(examples=[99.93568], description="Per cent that did not fail")
    error_budget: Budget
    burn_rates: dict[str, float | None] = Field(
        description="By window: 1 uses the budget up at the period's end; null without requests",
        examples=[dict.fromkeys(WINDOWS, 0.64)],
    )
    alert: Literal["page", "ticket"] | None = Field(None, examples=["ticket"])
    alert_windows: list[str] | None = Field(
        None, examples=[["6h", "3d"]], description="The windows that both burn too fast"
    )
    apdex: float = Field(
        examples=[0.94], description="1: all are satisfied, 0: none is; a failure is none"
    )


class ServiceLevels(BaseModel):
    """The thousand rows with the least left of their budgets, the least first."""

    target: float = Field(examples=[99.9])
    period_days: int = Field(examples=[30])
    apdex_seconds: float = Field(examples=[0.5])
    rows: list[ServiceLevel]
    next: None = None
    sql: list[str] = Field(description="The SQL that ran")


class GroupBy(StrEnum):
    """What a row is about."""

    CUSTOMER = "customer"
    PATH = "path"
    BOTH = "customer,path"
    ALL = "all"


FromDate = Annotated[
    str,
    Query(description="First day, UTC, as YYYY-MM-DD", examples=["1970-01-01", "2026-11-01"]),
]
CustomerId = Annotated[str, PathParameter(examples=["cust_1"])]


def router(host: Host) -> APIRouter:
    """The pack's routes."""
    made = APIRouter()
    customers = Customers(host)
    made.add_api_route(
        "/customers/{customer_id}/stats",
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
        first = read_day(from_date, self._host.now())
        rows = await self._host.query(
            read_sql("customer_stats"), {"customer_id": customer_id, "from_date": first}
        )
        return _stats(rows, f"requests of the customer {customer_id!r} since {first}")

    async def all_stats(self, from_date: FromDate) -> Stats:
        """Requests of all customers together since the beginning of a day."""
        first = read_day(from_date, self._host.now())
        rows = await self._host.query(read_sql("all_stats"), {"from_date": first})
        return _stats(rows, f"requests since {first}")


class ServiceLevelObjectives:
    """Answers how requests stand to an objective."""

    def __init__(self, host: Host) -> None:
        self._host = host

    async def slo(
        self,
        by: Annotated[GroupBy, Query(description="What a row is about")] = GroupBy.CUSTOMER,
        target: Annotated[
            float, Query(gt=0, lt=100, description="Per cent of requests that are to succeed")
        ] = 99.9,
        apdex_seconds: Annotated[
            float, Query(alias="apdex", gt=0, le=1000, description="Seconds that satisfy")
        ] = 0.5,
        period_days: Annotated[
            int, Query(ge=3, le=366, description="Days of the objective, today being the last")
        ] = 30,
        failed_from: Annotated[
            Literal["400", "500"], Query(description="Least status that counts as a failure")
        ] = "400",
        customer_id: Annotated[
            str, Query(description="Only this customer", examples=["cust_1"])
        ] = "",
        path: Annotated[
            str, Query(description="Only this path", examples=["/api/v1/resource1"])
        ] = "",
    ) -> ServiceLevels:
        """How much of each error budget is left, how fast it burns, and who should be told."""
        now = self._host.now()
        objective = Objective(target / 100, period_days)
        asked = {
            "by_customer": by in (GroupBy.CUSTOMER, GroupBy.BOTH),
            "by_path": by in (GroupBy.PATH, GroupBy.BOTH),
            "failed_from": int(failed_from),
            "customer_id": customer_id,
            "path": path,
        }
        together = not asked["by_customer"] and not customer_id
        objectives = read_sql("objectives_of_all" if together else "objectives")
        whole = await self._host.query(
            objectives,
            {
                **asked,
                "from_date": now.date() - timedelta(days=period_days - 1),
                "satisfied_ms": round(apdex_seconds * 1000),
            },
        )
        recent = await self._host.query(
            read_sql("windows"),
            {**asked, "now": now.replace(microsecond=0), "windows": list(WINDOWS.values())},
        )
        windows = {(customer, of_path): counts for customer, of_path, *counts in recent}
        none = [[0] * len(WINDOWS)] * 2
        rows = [_level(objective, row, windows.get((row[0], row[1]), none)) for row in whole]
        rows.sort(key=lambda row: (row.error_budget.left, row.customer_id or "", row.path or ""))
        return ServiceLevels(
            target=target,
            period_days=period_days,
            apdex_seconds=apdex_seconds,
            rows=rows[:MAX_SLO_ROWS],
            sql=[objectives, read_sql("windows")],
        )


def read_sql(name: str) -> str:
    """A question of `queries/`."""
    return (QUERIES / f"{name}.sql").read_text("utf-8")


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


def _stats(rows: list[tuple[Any, ...]], what: str) -> Stats:
    [(total, failed, micros, median_ms, p99_ms)] = rows
    if not total:
        raise HTTPException(404, f"cannot find {what}: there are none")
    return Stats(
        total_requests=total,
        successful_requests=total - failed,
        failed_requests=failed,
        uptime=round(100 * (total - failed) / total, PLACES),
        average_latency=round(micros / total / 1e6, PLACES),
        median_latency=round(median_ms / 1000, PLACES),
        p99_latency=round(p99_ms / 1000, PLACES),
    )


def _level(objective: Objective, row: tuple[Any, ...], windows: list[list[int]]) -> ServiceLevel:
    customer, path, requests, failed, satisfied, within_four = row
    rates = {
        window: objective.burn_rate(*counts)
        for window, *counts in zip(WINDOWS, *windows, strict=True)
    }
    alert = objective.alert(rates)
    return ServiceLevel(
        customer_id=customer or None,
        path=path or None,
        requests=requests,
        failed=failed,
        availability=round(100 * (requests - failed) / requests, PLACES),
        error_budget=Budget(
            allowed=round(requests * objective.budget, PLACES),
            used=failed,
            left=round(objective.budget_left(requests, failed) or 0.0, PLACES),
        ),
        burn_rates={
            window: None if rate is None else round(rate, PLACES) for window, rate in rates.items()
        },
        alert=alert[0] if alert else None,
        alert_windows=[alert[1].short, alert[1].long] if alert else None,
        apdex=round(apdex(requests, satisfied, within_four) or 0.0, PLACES),
    )

"""Service levels by HTTP: how customers and paths stand to an objective, the worst first.

docs/packs/requests.md defines every number. All of them come from the rollups of `schema/`. A page ends
with the place of its last row in that order, so the next one begins behind it, whatever has come
meanwhile.
"""

import asyncio
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, Final, Literal, NamedTuple, Self

import orjson
from fastapi import Query
from pydantic import BaseModel, Field

from tailrace.errors import QueryError
from tailrace.packs.host import Host
from tailrace.packs.requests.classes import upto_ms
from tailrace.packs.requests.objectives import WINDOWS, Objective, apdex
from tailrace.packs.requests.questions import PLACES, read_sql
from tailrace.packs.requests.windows import Windows

MOST_ROWS: Final = 1000
USUAL_ROWS: Final = 100
FEW_ROWS: Final = 300
"""Up to so many it costs less to look all of them up at once than to wait for a page's names."""
ANY_REST: Final = "*"
"""At the end of a path: whatever follows."""


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
    """The rows with the least left of their budgets, the least first."""

    target: float = Field(examples=[99.9])
    period_days: int = Field(examples=[30])
    apdex_seconds: float = Field(examples=[0.5])
    rows: list[ServiceLevel]
    next: str | None = Field(
        examples=["WzAuNSwiY3VzdF83IiwiIl0"],
        description="`cursor` of the page that follows; null: these are all",
    )
    sql: list[str] = Field(description="The SQL that ran")


class GroupBy(StrEnum):
    """What a row is about."""

    CUSTOMER = "customer"
    PATH = "path"
    BOTH = "customer,path"
    ALL = "all"


@dataclass(frozen=True)
class Place:
    """A row's place in the order: the share that failed, the greatest first, then names."""

    share: float
    customer_id: str
    path: str

    def encode(self) -> str:
        """The place as text for addresses."""
        text = orjson.dumps([self.share, self.customer_id, self.path])
        return urlsafe_b64encode(text).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str) -> Self:
        """The place that `encode` gave; QueryError for any other text."""
        try:
            said = orjson.loads(urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4)))
            share, customer_id, path = said
            if not (isinstance(customer_id, str) and isinstance(path, str)):
                raise TypeError("names are text")
            return cls(float(share), customer_id, path)
        except (ValueError, TypeError) as error:
            raise QueryError(
                f"cannot use the cursor {text[:60]!r}: take `next` of an answer as it is"
            ) from error


class Counted(NamedTuple):
    """What was counted of one customer, path, or both, whose names are empty where they do not matter."""

    customer_id: str
    path: str
    requests: int
    failed: int
    satisfied: int
    within_four: int

    def with_good(self, satisfied: int, within_four: int) -> Self:
        """The same, with more good requests that were fast enough."""
        return self._replace(
            satisfied=self.satisfied + satisfied, within_four=self.within_four + within_four
        )


Recent = dict[tuple[str, str], list[list[int]]]
"""By customer and path: requests, and failed ones, by window."""
BEFORE_ALL: Final = Place(2.0, "", "")
"""More than every request of theirs failed of nobody."""


class ServiceLevelObjectives:
    """Answers how requests stand to an objective."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._few = {(False, False)}
        """What there were few rows of, by whether customers and paths matter: all of those are
        looked up at once, without waiting for the names of the page."""

    async def slo(  # noqa: PLR0913 — one argument a parameter of the address
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
            str,
            Query(
                description="Only this path; with a * at the end, those that begin so",
                examples=["/api/v1/resource1", "/api/v1/*"],
            ),
        ] = "",
        limit: Annotated[int, Query(ge=1, le=MOST_ROWS, description="Rows a page")] = USUAL_ROWS,
        cursor: Annotated[str, Query(description="`next` of an earlier answer")] = "",
    ) -> ServiceLevels:
        """How much of each error budget is left, how fast it burns, and who should be told."""
        objective = Objective(target / 100, period_days)
        asked = {
            "by_customer": by in (GroupBy.CUSTOMER, GroupBy.BOTH),
            "by_path": by in (GroupBy.PATH, GroupBy.BOTH),
            "failed_from": int(failed_from),
            "path": path.removesuffix(ANY_REST),
            "whole_path": path != "" and not path.endswith(ANY_REST),
        }
        whole = {
            **asked,
            "customer_id": customer_id,
            # Where customers do not matter, the rows of all together are read.
            "every_customer": asked["by_customer"] and not customer_id,
            "from_date": self._host.now().date() - timedelta(days=period_days - 1),
        }
        times = {
            "satisfied_ms": round(apdex_seconds * 1000),
            "four_ms": 4 * round(apdex_seconds * 1000),
        }
        (found, recent), cut = await asyncio.gather(
            self._worst({**whole, **times}, asked, cursor, limit), self._cut_classes(whole, times)
        )
        page = [row.with_good(*cut.get(row[:2], (0, 0))) for row in found[:limit]]
        return ServiceLevels(
            target=target,
            period_days=period_days,
            apdex_seconds=apdex_seconds,
            rows=[_level(objective, row, recent.get(row[:2], NONE)) for row in page],
            next=_place(page[-1]).encode() if len(found) > limit else None,
            sql=[read_sql("objectives"), read_sql("windows")],
        )

    async def _worst(
        self, whole: Mapping[str, Any], asked: Mapping[str, Any], cursor: str, limit: int
    ) -> tuple[list[Counted], Recent]:
        """What was counted behind a cursor, the worst first, one more than asked for if there is
        one; and what was requested lately."""
        customers = [whole["customer_id"]] if whole["customer_id"] else []
        about = (asked["by_customer"], asked["by_path"])
        most = max(limit, FEW_ROWS) + 1
        if about in self._few:
            found, recent = await asyncio.gather(
                self._objectives(whole, cursor, most), self._recent(asked, customers, [])
            )
            if len(found) > FEW_ROWS:
                self._few.discard(about)
            return found, recent
        found = await self._objectives(whole, cursor, most)
        if len(found) <= FEW_ROWS and not (cursor or customers or asked["path"]):
            self._few.add(about)
        page = found[:limit]
        if not page:
            return found, {}
        customers = sorted({row.customer_id for row in page} - {""}) or customers
        paths = sorted({row.path for row in page} - {""})
        return found, await self._recent(asked, customers, paths)

    async def _objectives(self, whole: Mapping[str, Any], cursor: str, rows: int) -> list[Counted]:
        """What was counted behind a cursor, the worst first, by whole classes of latency."""
        after = Place.decode(cursor) if cursor else BEFORE_ALL
        found = await self._host.query(
            read_sql("objectives"),
            {
                **whole,
                "after_share": after.share,
                "after_customer": after.customer_id,
                "after_path": after.path,
                "rows": rows,
            },
        )
        return [Counted(*row) for row in found]

    async def _cut_classes(
        self, whole: Mapping[str, Any], times: Mapping[str, int]
    ) -> dict[tuple[str, str], list[int]]:
        """By customer and path, the good requests of the classes that a time is within, up to it."""
        cut = {upto_ms(ms) for ms in times.values()} - set(times.values())
        if not cut:
            return {}
        rows = await self._host.query(
            read_sql("cut_classes"), {**whole, **times, "classes": sorted(cut)}
        )
        return {(customer, path): numbers for customer, path, *numbers in rows}

    async def _recent(
        self, asked: Mapping[str, Any], customers: Sequence[str], paths: Sequence[str]
    ) -> Recent:
        """What was requested and what failed within each window; no names: of all."""
        windows = Windows(self._host.now().replace(microsecond=0), WINDOWS)
        rows = await self._host.query(
            read_sql("windows"),
            {
                **asked,
                "now": windows.now,
                "starts": windows.starts,
                "first": windows.starts[-1],
                "hours": windows.hours,
                "customers": list(customers),
                "paths": list(paths),
            },
        )
        return {
            (customer, path): [windows.sums(counts) for counts in both]
            for customer, path, *both in rows
        }


NONE: Final = [[0] * len(WINDOWS)] * 2
"""Counts of what had no request lately."""


def _place(row: Counted) -> Place:
    return Place(row.failed / row.requests, row.customer_id, row.path)


def _level(objective: Objective, row: Counted, windows: list[list[int]]) -> ServiceLevel:
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

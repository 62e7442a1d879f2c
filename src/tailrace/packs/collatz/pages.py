"""The pages of the pack: the records, and one chain to look around in. Values stand there as text."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from tailrace.packs.collatz.chains import LARGEST_NUMBER
from tailrace.packs.collatz.drawing import Drawing
from tailrace.packs.collatz.scene import Points, Scale
from tailrace.packs.collatz.stored import Chains, Number, Record
from tailrace.packs.host import Host

RECORDS: Final = 20
NEWEST: Final = 10
_NO_CACHE: Final = {"Cache-Control": "no-store"}
_Typed = Annotated[str, Query(pattern=r"^[\d ,_]{0,40}$")]
_Step = Annotated[str, Query(pattern=r"^\d{0,9}$")]


@dataclass(frozen=True)
class Span:
    """Where one may go from a part of a chain; `static/chain.js` knows the same ways."""

    move: str
    sign: str
    title: str
    first: int
    last: int


class Pages:
    """What browsers are given."""

    def __init__(self, host: Host, chains: Chains, drawing: Drawing) -> None:
        self._host = host
        self._chains = chains
        self._drawing = drawing

    def router(self) -> APIRouter:
        """Their routes; /docs has those of the API."""
        made = APIRouter(include_in_schema=False)
        made.add_api_route("/collatz", self.records, response_class=HTMLResponse)
        made.add_api_route("/collatz/find", self.find, response_class=Response)
        made.add_api_route("/plot/{number}/page", self.plot, response_class=HTMLResponse)
        return made

    async def records(self) -> HTMLResponse:
        """The longest chains, the highest and the newest."""
        (chains, messages), (longest, highest, found), newest = await asyncio.gather(
            self._chains.totals(), self._leading(), self._chains.newest(NEWEST)
        )
        html = self._host.page(
            "records.html",
            chains=chains,
            messages=messages,
            longest=[found[number] for number in longest if number in found],
            highest=[found[number] for number in highest if number in found],
            newest=newest,
        )
        self._drawing.expect_png()
        return HTMLResponse(html, headers=_NO_CACHE)

    async def _leading(self) -> tuple[list[int], list[int], dict[int, Record]]:
        """The numbers with the most steps, those with the highest values, and what they reached."""
        longest, highest = await asyncio.gather(
            self._chains.leading("steps", RECORDS), self._chains.leading("highest", RECORDS)
        )
        return longest, highest, await self._chains.records([*longest, *highest])

    async def find(
        self, number: _Typed, other: Annotated[_Typed, Query(alias="with")] = ""
    ) -> RedirectResponse:
        """To the page of the number that was typed, digits in groups or not."""
        path = f"/plot/{_natural(number)}/page"
        beside = f"?with={_natural(other)}" if other.strip() else ""
        return RedirectResponse(path + beside, 303)

    async def plot(
        self,
        number: Number,
        first: Annotated[_Step, Query(alias="from")] = "",
        last: Annotated[_Step, Query(alias="to")] = "",
        scale: Scale = "log",
        other: Annotated[int | None, Query(alias="with", ge=1, le=LARGEST_NUMBER)] = None,
    ) -> HTMLResponse:
        """One chain, another beside it: the plot, from and to a step, and the values."""
        points, beside = await asyncio.gather(
            self._chains.points(number), self._chains.beside(other)
        )
        rows = _rows([points, *([beside.points] if beside else [])])
        end = rows[-1][0]
        low, high = int(first or 0), min(int(last or end), end)
        step, highest = max(points, key=lambda point: point[1])
        html = self._host.page(
            "chain.html",
            number=number,
            other=beside,
            points=points,
            rows=rows,
            end=points[-1][0],
            last=end,
            is_ended=any(value == 1 for _, value in points),
            highest=highest,
            highest_step=step,
            odd=sum(value & 1 for _, value in points),
            low=low,
            high=high,
            shown=sum(low <= step <= high for step, _ in rows),
            scale=scale,
            spans=spans(low, high, end),
        )
        self._drawing.expect_png()
        return HTMLResponse(html, headers=_NO_CACHE)


def spans(low: int, high: int, end: int) -> list[Span]:
    """Where one may go from the steps `low` to `high` of a chain that ends at `end`."""
    length = max(high - low, 1)
    quarter, half = length // 4, max(length // 2, 1)
    return [
        Span("earlier", "‹", "Earlier", max(low - length, 0), max(high - length, length)),
        Span("nearer", "+", "Nearer", low + quarter, high - quarter),
        Span("farther", "−", "Farther", max(low - half, 0), min(high + half, end)),
        Span(
            "later", "›", "Later", max(min(low + length, end - length), 0), min(high + length, end)
        ),
        Span("all", "All", "All steps", 0, end),
    ]


def _rows(chains: Sequence[Points]) -> list[tuple[int, list[int | None]]]:
    """Every step that one of the chains has, with their values."""
    columns = [dict(points) for points in chains]
    steps = sorted(set().union(*columns))
    return [(step, [column.get(step) for column in columns]) for step in steps]


def _natural(typed: str) -> int:
    """The number that was typed; 422 for one that is too small or too large."""
    number = int(re.sub(r"\D", "", typed) or 0)
    if not 1 <= number <= LARGEST_NUMBER:
        raise HTTPException(
            422, f"cannot show the chain of {typed!r}: give a number from 1 to {LARGEST_NUMBER:,}"
        )
    return number

"""The pages of the pack: the records, and one chain to look around in. Values stand there as text."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from tailrace.packs.collatz.chains import LARGEST_NUMBER
from tailrace.packs.collatz.stored import Chains, Number
from tailrace.packs.host import Host

RECORDS: Final = 20
NEWEST: Final = 10
_NO_CACHE: Final = {"Cache-Control": "no-store"}


class Pages:
    """What browsers are given."""

    def __init__(self, host: Host, chains: Chains) -> None:
        self._host = host
        self._chains = chains

    def router(self) -> APIRouter:
        """Their routes; /docs has those of the API."""
        made = APIRouter(include_in_schema=False)
        made.add_api_route("/collatz", self.records, response_class=HTMLResponse)
        made.add_api_route("/collatz/find", self.find, response_class=Response)
        made.add_api_route("/plot/{number}/page", self.plot, response_class=HTMLResponse)
        return made

    async def records(self) -> HTMLResponse:
        """The longest chains, the highest and the newest."""
        [(chains, messages)] = await self._chains.ask("totals")
        values: dict[str, Any] = {
            "chains": chains,
            "messages": messages,
            "tables": [
                ("Longest chains", await self._records(by_steps=True)),
                ("Highest values", await self._records(by_steps=False)),
                ("Newest chains", await self._chains.ask("newest", {"limit": NEWEST})),
            ],
        }
        return HTMLResponse(self._host.page("records.html", **values), headers=_NO_CACHE)

    async def find(
        self, number: Annotated[int, Query(ge=1, le=LARGEST_NUMBER)]
    ) -> RedirectResponse:
        """To the page of the number that was typed."""
        return RedirectResponse(f"/plot/{number}/page", 303)

    async def plot(
        self,
        number: Number,
        first: Annotated[str, Query(alias="from", pattern=r"^\d{0,9}$")] = "",
        last: Annotated[str, Query(alias="to", pattern=r"^\d{0,9}$")] = "",
        scale: Annotated[str, Query(pattern="^(log|linear)$")] = "log",
    ) -> HTMLResponse:
        """One chain: its plot, from and to a step, and its values."""
        points = await self._chains.points(number)
        end = points[-1][0]
        low, high = int(first or 0), min(int(last or end), end)
        shown = [(step, value) for step, value in points if low <= step <= high]
        html = self._host.page(
            "chain.html",
            number=number,
            steps=end,
            highest=max(value for _, value in points),
            is_ended=any(value == 1 for _, value in points),
            low=low,
            high=high,
            scale=scale,
            shown=shown,
            spans=_spans(low, high, end),
        )
        return HTMLResponse(html, headers=_NO_CACHE)

    async def _records(self, *, by_steps: bool) -> list[tuple[Any, ...]]:
        return await self._chains.ask("records", {"by_steps": by_steps, "limit": RECORDS})


def _spans(low: int, high: int, end: int) -> list[tuple[str, int, int]]:
    """Where one may go from here: a name, and the first and the last step."""
    length = max(high - low, 1)
    quarter = length // 4
    earlier, later = max(low - length, 0), min(high + length, end)
    return [
        ("‹ Earlier", earlier, earlier + length),
        ("+ Nearer", low + quarter, high - quarter),
        ("− Farther", max(low - length // 2, 0), min(high + length // 2, end)),
        ("Later ›", later - length, later),
        ("All", 0, end),
    ]

"""Asks for what is stored of chains; the questions are in `queries/`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from fastapi import HTTPException
from fastapi import Path as PathParameter

from tailrace.packs.collatz.chains import LARGEST_NUMBER, chain
from tailrace.packs.collatz.scene import Points, power_text
from tailrace.packs.host import Host

QUERIES: Final = Path(__file__).with_name("queries")
NEWEST_ROWS: Final = 100
"""Rows of which most are likely to be of chains that have not begun long before."""

Number = Annotated[
    int,
    PathParameter(
        ge=1, le=LARGEST_NUMBER, examples=[76375094243638], description="A natural number"
    ),
]
Ranking = Literal["steps", "highest"]
Step = tuple[int, list[int], int]
"""A step, the values that came for it, and how many messages that were."""


@dataclass(frozen=True)
class Beside:
    """A chain that another is compared with."""

    number: int
    points: Points
    has_come: bool
    """Whether it is stored; else it is computed."""


@dataclass(frozen=True)
class Record:
    """A chain among others, as far as it has come."""

    number: int
    steps: int
    highest: int
    is_ended: bool
    messages: int
    began: datetime

    @property
    def round_highest(self) -> str:
        """The highest value by its first digits."""
        return power_text(self.highest)


class Chains:
    """The stored chains."""

    def __init__(self, host: Host) -> None:
        self._host = host

    async def ask(
        self, name: str, parameters: Mapping[str, Any] | None = None
    ) -> list[tuple[Any, ...]]:
        """All rows of a question."""
        sql = (QUERIES / f"{name}.sql").read_text("utf-8")
        return await self._host.query(sql, parameters)

    async def first(self, by: Ranking) -> int:
        """The number that is first, the smallest of several; 404 where no chain has come."""
        numbers = await self.leading(by, 1)
        if not numbers:
            raise HTTPException(404, "cannot say which: no chain has come")
        return numbers[0]

    async def leading(self, by: Ranking, limit: int) -> list[int]:
        """So many numbers, the first by `by` before the others, or all that there are."""
        rows = limit
        while True:
            found = await self.ask(f"first_{by}", {"rows": rows})
            numbers = list(dict.fromkeys(int(number) for (number,) in found))
            if len(numbers) >= limit or len(found) < rows:
                return numbers[:limit]
            rows *= 10

    async def newest(self, limit: int) -> list[Record]:
        """So many chains, the one that began last first; of one moment, the smallest first."""
        rows = NEWEST_ROWS
        while True:
            found = await self.ask("first_newest", {"rows": rows})
            began = sorted(
                (await self.records(number for number, _ in found)).values(),
                key=lambda record: (-record.began.timestamp(), record.number),
            )
            if len(found) == rows:
                # One whose first row stands behind these rows may have begun before another.
                number, moment = found[-1]
                end = (-moment.timestamp(), number)
                began = [one for one in began if (-one.began.timestamp(), one.number) <= end]
            if len(began) >= limit or len(found) < rows:
                return began[:limit]
            rows *= 10

    async def records(self, numbers: Iterable[int]) -> dict[int, Record]:
        """What those of these chains reached that are there, by number."""
        rows = await self.ask("records", {"numbers": sorted(set(numbers))})
        return {row[0]: Record(*row) for row in rows}

    async def totals(self) -> tuple[int, int]:
        """How many chains began, and how many messages came."""
        [(chains, messages)] = await self.ask("totals")
        return int(chains), int(messages)

    async def containing(self, value: int, after: int, limit: int) -> list[int]:
        """The lowest numbers above `after` in whose chains a value is."""
        numbers: dict[int, None] = {}
        while True:
            wanted = limit - len(numbers)
            [(found,)] = await self.ask("part", {"value": value, "after": after, "limit": wanted})
            numbers |= dict.fromkeys(found)
            if len(found) < wanted or len(numbers) == limit:
                return list(numbers)
            after = found[-1]

    async def steps(self, number: int) -> list[Step]:
        """What is stored of one chain."""
        return [
            (int(step), [int(value) for value in values], int(count))
            for step, values, count in await self.ask("steps", {"number": number})
        ]

    async def points(self, number: int) -> Points:
        """Steps and values of one chain; 404 where none has come."""
        rows = await self.steps(number)
        if not rows:
            raise HTTPException(
                404,
                f"cannot find the chain of {number}: it has not come. /chain/{number} computes it",
            )
        return [(step, min(values)) for step, values, _ in rows]

    async def beside(self, number: int | None) -> Beside | None:
        """A chain to compare another with, computed where none has come; None where none is asked."""
        if number is None:
            return None
        rows = await self.steps(number)
        if rows:
            return Beside(number, [(step, min(values)) for step, values, _ in rows], True)
        return Beside(number, list(enumerate(chain(number))), False)

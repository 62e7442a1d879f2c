"""Asks for what is stored of chains; the questions are in `queries/`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import HTTPException
from fastapi import Path as PathParameter

from tailrace.packs.collatz.chains import LARGEST_NUMBER
from tailrace.packs.host import Host

QUERIES: Final = Path(__file__).with_name("queries")

Number = Annotated[
    int,
    PathParameter(
        ge=1, le=LARGEST_NUMBER, examples=[76375094243638], description="A natural number"
    ),
]
Step = tuple[int, list[int], int]
"""A step, the values that came for it, and how many messages that were."""


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

    async def one(self, name: str) -> int:
        """The one number that a question gives; 404 where no chain has come."""
        rows = await self.ask(name)
        if not rows:
            raise HTTPException(404, "cannot say which: no chain has come")
        [(number,)] = rows
        return int(number)

    async def steps(self, number: int) -> list[Step]:
        """What is stored of one chain."""
        return [
            (int(step), [int(value) for value in values], int(count))
            for step, values, count in await self.ask("steps", {"number": number})
        ]

    async def points(self, number: int) -> list[tuple[int, int]]:
        """Steps and values of one chain; 404 where none has come."""
        rows = await self.steps(number)
        if not rows:
            raise HTTPException(404, f"cannot find the chain of {number}: it has not come")
        return [(step, min(values)) for step, values, _ in rows]

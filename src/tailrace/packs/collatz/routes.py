"""What the chains reached, by HTTP.

The four paths without a prefix, and their answers, are those of the system that this kind of data
comes from. docs/packs/collatz.md defines what a step is. Numbers in JSON have as many digits as they
need, more than JavaScript's own can hold.
"""

import asyncio
import hashlib
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, HTTPException, Query, Request, Response
from fastapi import Path as PathParameter
from pydantic import BaseModel, Field

from tailrace import __version__
from tailrace.packs.collatz.chains import LARGEST_NUMBER, LARGEST_VALUE, check
from tailrace.packs.collatz.drawing import Drawing
from tailrace.packs.collatz.pages import Pages
from tailrace.packs.collatz.picture import Theme
from tailrace.packs.collatz.scene import Scale
from tailrace.packs.collatz.stored import Chains, Number
from tailrace.packs.host import Host

MOST_PARTS: Final = 100_000
USUAL_PARTS: Final = 10_000
MOST_NAMED: Final = 1000
"""Steps of one chain that are named as missing or wrong, at most."""
PICTURES: Final = {"png": "image/png", "svg": "image/svg+xml"}
CAN_BE_SVG: Final = {"Vary": "Accept", "Content-Security-Policy": "default-src 'none'"}

_PROBLEM: Final[dict[str, Any]] = {"content": {"application/problem+json": {}}}
_AWAY: Final = {"description": "ClickHouse is away, or the tables are not there", **_PROBLEM}
PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    404: {"description": "No such chain has come", **_PROBLEM},
    422: {"description": "A parameter is no natural number, or too large", **_PROBLEM},
    503: _AWAY,
}
EMPTY: Final[dict[int | str, dict[str, Any]]] = {404: PROBLEMS[404], 503: _AWAY}


class Longest(BaseModel):
    """A number; it has this name in both answers."""

    longest: int = Field(examples=[31917434126612])


class WrongStep(BaseModel):
    """A step at which something is stored that does not belong there."""

    step: int = Field(examples=[7])
    stored: list[int] = Field(examples=[[99]])
    expected: int | None = Field(examples=[160], description="null: the chain has ended before")


class Chain(BaseModel):
    """A chain as it is, and whether that is what is stored."""

    number: int = Field(examples=[6])
    steps: int = Field(examples=[8], description="To the first 1; step 0 is the number itself")
    highest: int = Field(examples=[16])
    values: list[int] = Field(examples=[[6, 3, 10, 5, 16, 8, 4, 2, 1]])
    stored_messages: int = Field(examples=[9], description="0: this number has not come")
    repeated_messages: int = Field(examples=[0], description="Those that came more than once")
    is_whole: bool = Field(examples=[True], description="Whether all of it is stored, and no more")
    missing_steps: list[int] = Field(examples=[[]], description="At most 1000 of them")
    wrong_steps: list[WrongStep] = Field(examples=[[]], description="At most 1000 of them")


Value = Annotated[
    int, PathParameter(ge=1, le=LARGEST_VALUE, examples=[1024], description="A natural number")
]


def router(host: Host) -> APIRouter:
    """The pack's routes."""
    made = APIRouter()
    chains = Chains(host)
    drawing = Drawing()
    records, charts = Records(chains), Charts(chains, drawing)
    made.add_api_route(
        "/longest_step_chain",
        records.longest,
        response_model=Longest,
        responses=EMPTY,
        summary="The number with the longest chain",
    )
    made.add_api_route(
        "/highest_value",
        records.highest,
        response_model=Longest,
        responses=EMPTY,
        summary="The number that went to the highest value",
    )
    made.add_api_route(
        "/part/{number}",
        records.part,
        response_model=list[list[int]],
        responses={
            200: {
                "content": {"application/json": {"example": [[2361437172277], [29009624858921]]}}
            },
            **PROBLEMS,
        },
        summary="The numbers whose chains contain a number",
    )
    pictures = {kind: {"example": "a picture"} for kind in PICTURES.values()}
    made.add_api_route(
        "/plot/{number}",
        charts.plot,
        response_class=Response,
        responses={200: {"content": pictures}, **PROBLEMS},
        summary="A plot of a number's chain",
    )
    made.add_api_route(
        "/chain/{number}",
        Checks(chains).chain,
        response_model=Chain,
        responses={status: PROBLEMS[status] for status in (422, 503)},
        summary="A chain, computed and checked",
    )
    made.include_router(Pages(host, chains, drawing).router())
    return made


class Records:
    """Answers which numbers stand out, and which belong together."""

    def __init__(self, chains: Chains) -> None:
        self._chains = chains

    async def longest(self) -> Longest:
        """Of all chains that have come, the one with the most steps; the smallest of several."""
        return Longest(longest=await self._chains.first("steps"))

    async def highest(self) -> Longest:
        """Of all chains that have come, the one with the highest value; the smallest of several."""
        return Longest(longest=await self._chains.first("highest"))

    async def part(
        self,
        request: Request,
        number: Value,
        limit: Annotated[int, Query(ge=1, le=MOST_PARTS, description="How many")] = USUAL_PARTS,
        after: Annotated[int, Query(ge=0, le=LARGEST_NUMBER, description="Only larger ones")] = 0,
    ) -> Response:
        """Each in a list of its own, in their order, its own chain included. When there are more than
        `limit`, the header `Link` leads to the next."""
        numbers = await self._chains.containing(number, after, limit + 1)
        if not numbers:
            raise HTTPException(404, f"cannot find {number} in any chain that has come")
        headers = {}
        if len(numbers) > limit:
            following = request.url.include_query_params(after=numbers[limit - 1], limit=limit)
            headers["Link"] = f'<{following}>; rel="next"'
        # By hand: FastAPI looks at each of ten thousand lists, for longer than ClickHouse at its rows.
        written = ",".join(f"[{found}]" for found in numbers[:limit])
        return Response(f"[{written}]", media_type="application/json", headers=headers)


class Charts:
    """Draws chains."""

    def __init__(self, chains: Chains, drawing: Drawing) -> None:
        self._chains = chains
        self._drawing = drawing

    async def plot(
        self,
        request: Request,
        number: Number,
        picture: Annotated[
            Literal["", "png", "svg"],
            Query(alias="format", description="Else as Accept says; PNG"),
        ] = "",
        theme: Theme = "light",
        scale: Scale = "log",
        first: Annotated[int, Query(alias="from", ge=0, le=10**9, description="A step")] = 0,
        last: Annotated[int, Query(alias="to", ge=0, le=10**9, description="A step")] = 10**9,
        other: Annotated[
            int | None,
            Query(
                alias="with",
                ge=1,
                le=LARGEST_NUMBER,
                description="A number whose chain is drawn as well; one that has not come is computed",
            ),
        ] = None,
    ) -> Response:
        """The values over the steps that have come, as PNG or SVG."""
        kind = picture or ("svg" if _wants_svg(request.headers.get("accept", "")) else "png")
        drawn = [(number, await self._chains.points(number))]
        if beside := await self._chains.beside(other):
            drawn.append((beside.number, beside.points))
        shown = [(one, [p for p in points if first <= p[0] <= last]) for one, points in drawn]
        if not shown[0][1]:
            raise HTTPException(404, f"cannot find steps {first} to {last} of {number}")
        headers = {
            "ETag": _tag(kind, theme, scale, shown),
            "Content-Disposition": f'inline; filename="{number}.{kind}"',
            "Cache-Control": "no-cache",
            **CAN_BE_SVG,
        }
        if headers["ETag"] in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        made = await self._drawing.draw(kind, theme, scale, shown)
        return Response(made, media_type=PICTURES[kind], headers=headers)


class Checks:
    """Holds what is stored against what is true."""

    def __init__(self, chains: Chains) -> None:
        self._chains = chains

    async def chain(self, number: Number) -> Chain:
        """The chain of any number, whether it has come or not, and what is wrong with what has."""
        rows = await self._chains.steps(number)
        found = await asyncio.to_thread(check, number, {step: values for step, values, _ in rows})
        messages = sum(count for _, _, count in rows)
        right = dict(enumerate(found.values))
        return Chain(
            number=number,
            steps=found.steps,
            highest=found.highest,
            values=found.values,
            stored_messages=messages,
            repeated_messages=messages - sum(len(values) for _, values, _ in rows),
            is_whole=not found.missing and not found.wrong,
            missing_steps=found.missing[:MOST_NAMED],
            wrong_steps=[
                WrongStep(step=step, stored=values, expected=right.get(step))
                for step, values in found.wrong[:MOST_NAMED]
            ],
        )


def _wants_svg(accept: str) -> bool:
    """Whether SVG is asked for and PNG would not do; a browser takes both."""
    kinds = {part.partition(";")[0].strip().lower() for part in accept.split(",")}
    return "image/svg+xml" in kinds and not kinds & {"image/png", "image/*", "*/*"}


def _tag(*drawn: object) -> str:
    """What a picture is known by: all that it is made of, and the program that draws it."""
    return f'"{hashlib.blake2s(repr((__version__, drawn)).encode(), digest_size=12).hexdigest()}"'

"""Says where things stand on a picture of chains: lines, ticks and what is written at them, in pixels.

Pure, and it knows neither of colours nor of file formats, which are `picture`'s. Values have as many
digits as they have: only their places are rounded, to a hundredth of a pixel.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

Scale = Literal["log", "linear"]
Points = Sequence[tuple[int, int]]
"""Steps and their values, in the order of steps."""
Place = tuple[float, float]
"""From the left, and from above."""

WIDTH: Final = 990
HEIGHT: Final = 495
LEFT: Final = 84
RIGHT: Final = 966
TOP: Final = 52
BOTTOM: Final = 437
FEW_STEPS: Final = 60
"""Up to so many steps each is marked by a dot."""
MOST_STEPS_TICKS: Final = 12
MOST_VALUE_TICKS: Final = 8
_SUPERSCRIPTS: Final = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Tick:
    """A place on an axis, and what stands there."""

    at: float
    text: str


@dataclass(frozen=True)
class Line:
    """A chain."""

    name: str
    places: list[Place]
    is_dotted: bool
    top: Place
    """Where it is highest."""


@dataclass(frozen=True)
class Scene:
    """A whole picture."""

    title: str
    note: str
    """How high the first chain went, which stands at its top."""
    is_note_left: bool
    lines: list[Line]
    steps: list[Tick]
    values: list[Tick]


def compose(chains: Sequence[tuple[int, Points]], scale: Scale) -> Scene:
    """The picture of some numbers and their points; the first has one point at least."""
    points = [point for _, some in chains for point in some]
    first, last = min(step for step, _ in points), max(step for step, _ in points)
    least, most = min(value for _, value in points), max(value for _, value in points)
    across = _across(first, max(last, first + 1))
    ticks, up = _powers(least, most) if scale == "log" else _even(most)
    lines = [_line(number, some, across, up) for number, some in chains if some]
    numbers = " and ".join(f"{number:,}" for number, _ in chains)
    step, highest = max(chains[0][1], key=lambda point: point[1])
    return Scene(
        title=f"Plot of steps for number {numbers}",
        note=f"{highest:,} at step {step:,}",
        is_note_left=lines[0].top[0] > (LEFT + RIGHT) / 2,
        lines=lines,
        steps=[Tick(across(step), f"{step:,}") for step in _step_ticks(first, last)],
        values=[Tick(up(value), power_text(value)) for value in ticks],
    )


def power_text(value: int) -> str:
    """A number as an axis has it, by its first three digits: 5,000, or 5×10¹²."""
    if value < 10**6:
        return f"{value:,}"
    digits = str(value)
    power = f"10{str(len(digits) - 1).translate(_SUPERSCRIPTS)}"
    rest = digits[:3].rstrip("0")
    if rest == "1":
        return power
    return f"{rest[0]}{'.' if rest[1:] else ''}{rest[1:]}×{power}"


def _across(first: int, last: int) -> Callable[[int], float]:
    return lambda step: round(LEFT + (RIGHT - LEFT) * (step - first) / (last - first), 2)


def _powers(least: int, most: int) -> tuple[list[int], Callable[[int], float]]:
    """A scale of powers of ten around these values, and its ticks."""
    low = len(str(least)) - 1
    high = max(len(str(most - 1)), low + 1)
    every = -(-(high - low) // MOST_VALUE_TICKS)
    ticks = [10**power for power in range(low, high + 1, every)]
    room = (BOTTOM - TOP) / (high - low)
    return ticks, lambda value: round(BOTTOM - room * (math.log10(value) - low), 2)


def _even(most: int) -> tuple[list[int], Callable[[int], float]]:
    """A scale from 0 to a little above the highest value, and its ticks."""
    every = _round_step(most, MOST_VALUE_TICKS)
    end = most * 27 // 25 + 1
    ticks = list(range(0, end + 1, every))
    return ticks, lambda value: round(BOTTOM - (BOTTOM - TOP) * (value / end), 2)


def _step_ticks(first: int, last: int) -> range:
    every = _round_step(last - first, MOST_STEPS_TICKS)
    return range(-(-first // every) * every, last + 1, every)


def _round_step(span: int, most: int) -> int:
    """The least of 1, 2, 5, 10, 20 … that divides a span into so many parts at most."""
    power = 1
    while span > 10 * power * most:
        power *= 10
    return next(power * factor for factor in (1, 2, 5, 10) if span <= power * factor * most)


def _line(
    number: int, points: Points, across: Callable[[int], float], up: Callable[[int], float]
) -> Line:
    places = [(across(step), up(value)) for step, value in points]
    return Line(
        name=f"{number:,}",
        places=places,
        is_dotted=len(points) <= FEW_STEPS,
        top=min(places, key=lambda place: place[1]),
    )

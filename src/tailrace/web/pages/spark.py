"""Small drawings beside numbers: what happened in the last minutes, as one path."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tailrace.web.units import format_number

HEIGHT: Final = 20
BAR: Final = 3
STEP: Final = 4


@dataclass(frozen=True)
class Spark:
    """Bars as the path of an SVG, and what they say."""

    path: str
    width: int
    title: str
    height: int = HEIGHT


def spark(rates: Sequence[float], unit: str = "/s") -> Spark | None:
    """A bar for each of the rates, the highest over the whole height; None where there are none."""
    if not rates:
        return None
    peak = max(rates)
    bars = []
    for at, rate in enumerate(rates):
        # what is not nothing is seen
        height = max(round(rate / peak * HEIGHT, 1), 1) if rate else 0.5
        bars.append(f"M{at * STEP} {HEIGHT}v-{height:g}h{BAR}v{height:g}z")
    title = f"last {len(rates)} minutes, at most {format_number(peak)}{unit}"
    return Spark("".join(bars), len(rates) * STEP - (STEP - BAR), title)

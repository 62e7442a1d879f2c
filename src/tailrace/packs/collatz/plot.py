"""Draws a chain: values over steps, on a scale of powers of ten.

Pure: the same values make the same picture. Nothing of matplotlib is shared between drawings but its
fonts, which a lock keeps to one thread at a time.
"""

import io
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

Theme = Literal["light", "dark"]
Format = Literal["png", "svg"]
Scale = Literal["log", "linear"]

SIZE_INCHES: Final = (9.0, 4.5)
DOTS_PER_INCH: Final = 110
FEW_STEPS: Final = 60
"""Up to so many steps each is marked by a dot."""


@dataclass(frozen=True)
class _Colours:
    background: str
    ink: str
    muted: str
    grid: str
    line: str
    mark: str


_COLOURS: Final = {
    "light": _Colours("#ffffff", "#1d2126", "#686e77", "#e6e3dc", "#2a78d6", "#d4690f"),
    "dark": _Colours("#161b1f", "#e5e7ea", "#8d96a0", "#262d33", "#5b9be8", "#e0803a"),
}
_ONE_AT_A_TIME = threading.Lock()


def draw(
    number: int,
    points: Sequence[tuple[int, int]],
    kind: Format = "png",
    theme: Theme = "light",
    scale: Scale = "log",
) -> bytes:
    """A picture of steps and their values; there must be one at least."""
    colours = _COLOURS[theme]
    with _ONE_AT_A_TIME:
        figure = Figure(SIZE_INCHES, DOTS_PER_INCH, layout="constrained")
        figure.set_facecolor(colours.background)
        axes = figure.add_subplot()
        _plot(axes, points, colours)
        axes.set_yscale(scale)
        axes.set_title(f"Plot of steps for number {number:,}", color=colours.ink, fontsize=13)
        _dress(axes, colours)
        return _print(figure, kind)


def _plot(axes: Axes, points: Sequence[tuple[int, int]], colours: _Colours) -> None:
    steps = [step for step, _ in points]
    # Beyond 2^53 a float is not the value, but is where it is on the picture.
    values = [float(value) for _, value in points]
    marker = "o" if len(points) <= FEW_STEPS else None
    axes.plot(steps, values, color=colours.line, linewidth=1.3, marker=marker, markersize=3.5)
    step, highest = max(points, key=lambda point: point[1])
    axes.plot([step], [float(highest)], "o", color=colours.mark, markersize=6)
    is_right = step > (steps[0] + steps[-1]) / 2
    axes.annotate(
        f"{highest:,} at step {step}",
        (step, float(highest)),
        xytext=(-8 if is_right else 8, 6),
        textcoords="offset points",
        horizontalalignment="right" if is_right else "left",
        color=colours.mark,
    )
    axes.margins(y=0.12)


def _dress(axes: Axes, colours: _Colours) -> None:
    axes.set_facecolor(colours.background)
    axes.set_xlabel("Step number", color=colours.ink)
    axes.set_ylabel("Value", color=colours.ink)
    axes.tick_params(which="both", color=colours.muted, labelcolor=colours.muted)
    axes.grid(visible=True, color=colours.grid, linewidth=0.8)
    for spine in axes.spines.values():
        spine.set_color(colours.grid)


def _print(figure: Figure, kind: Format) -> bytes:
    made = io.BytesIO()
    canvas = FigureCanvasAgg(figure) if kind == "png" else FigureCanvasSVG(figure)
    canvas.print_figure(made, format=kind, metadata=None if kind == "png" else {"Date": None})
    return made.getvalue()

"""Draws a scene as PNG by matplotlib's renderer (Agg), without its figures, axes and layout, which
would take ten times as long as the drawing itself.

Loading matplotlib takes most of a second, which only those pay who ask for a PNG. Its fonts are used by
one thread at a time.
"""

import io
import threading
from functools import cache
from typing import Any, Final

from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.font_manager import FontProperties
from matplotlib.image import imsave
from matplotlib.path import Path
from matplotlib.transforms import Affine2D, IdentityTransform

from tailrace.packs.collatz.picture import (
    LINE_WIDTH,
    MARK_RADIUS,
    POINT_RADIUS,
    Colours,
    Text,
    texts,
)
from tailrace.packs.collatz.scene import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Place, Scene

DOTS_PER_INCH: Final = 72
"""So that a point, of which fonts and lines have their sizes, is a pixel."""
FAST_COMPRESSION: Final = 1
_ONE_AT_A_TIME = threading.Lock()
_SAME: Final = IdentityTransform()


def png(scene: Scene, colours: Colours) -> bytes:
    """The picture as PNG."""
    with _ONE_AT_A_TIME:
        sheet = _Sheet()
        sheet.fill(colours.ground)
        sheet.grid(scene, colours.grid)
        for line, colour in zip(scene.lines, colours.lines, strict=False):
            sheet.line(line.places, colour)
            if line.is_dotted:
                sheet.dots(line.places, POINT_RADIUS, colour)
        sheet.dots([scene.lines[0].top], MARK_RADIUS, colours.mark)
        for text in texts(scene, colours):
            sheet.write(text)
        return sheet.encoded()


class _Sheet:
    """What is drawn on. The renderer counts pixels from below, but for texts."""

    def __init__(self) -> None:
        self._renderer = _renderer(WIDTH, HEIGHT)

    def fill(self, colour: str) -> None:
        corners: list[Place] = [(0, 0), (WIDTH, 0), (WIDTH, HEIGHT), (0, HEIGHT)]
        pen = self._pen(colour, 0)
        self._renderer.draw_path(pen, _path(corners), _SAME, pen.get_rgb())

    def grid(self, scene: Scene, colour: str) -> None:
        ends: list[tuple[Place, Place]] = []
        ends += [((LEFT, tick.at), (RIGHT, tick.at)) for tick in scene.values]
        ends += [((tick.at, TOP), (tick.at, BOTTOM)) for tick in scene.steps]
        ends += [((LEFT, y), (RIGHT, y)) for y in (TOP, BOTTOM)]
        ends += [((x, TOP), (x, BOTTOM)) for x in (LEFT, RIGHT)]
        pen = self._pen(colour, 1)
        pen.set_snap(True)
        places = [place for pair in ends for place in pair]
        self._renderer.draw_path(pen, _path(places, [Path.MOVETO, Path.LINETO] * len(ends)), _SAME)

    def line(self, places: list[Place], colour: str) -> None:
        pen = self._pen(colour, LINE_WIDTH)
        pen.set_joinstyle("round")
        self._renderer.draw_path(pen, _path(places), _SAME)

    def dots(self, places: list[Place], radius: float, colour: str) -> None:
        pen = self._pen(colour, 0)
        circle, size = Path.unit_circle(), Affine2D().scale(radius)
        self._renderer.draw_markers(pen, circle, size, _path(places), _SAME, pen.get_rgb())

    def write(self, text: Text) -> None:
        font = _font(text.size)
        width = sum(_width(sign, text.size) for sign in text.text)
        before = {"start": 0.0, "middle": width / 2, "end": width}[text.anchor]
        pen = self._pen(text.colour, 1)
        if text.is_upright:
            self._renderer.draw_text(pen, text.x, text.y + before, text.text, font, 90)
        else:
            self._renderer.draw_text(pen, text.x - before, text.y, text.text, font, 0)

    def encoded(self) -> bytes:
        """The sheet as a file."""
        made = io.BytesIO()
        pixels = self._renderer.buffer_rgba()
        imsave(made, pixels, format="png", pil_kwargs={"compress_level": FAST_COMPRESSION})
        return made.getvalue()

    def _pen(self, colour: str, width: float) -> Any:
        pen = self._renderer.new_gc()
        pen.set_foreground(colour)
        pen.set_linewidth(width)
        return pen


def _renderer(width: int, height: int) -> Any:
    return RendererAgg(width, height, DOTS_PER_INCH)  # type: ignore[no-untyped-call]


@cache
def _font(size: int) -> FontProperties:
    return FontProperties(size=size)


@cache
def _width(sign: str, size: int) -> float:
    """How wide one sign is: laying out a whole text takes a third as long as drawing it."""
    renderer = _renderer(1, 1)
    width, _, _ = renderer.get_text_width_height_descent(sign, _font(size), ismath=False)
    return float(width)


def _path(places: list[Place], codes: Any = None) -> Path:
    return Path([(x, HEIGHT - y) for x, y in places], codes)

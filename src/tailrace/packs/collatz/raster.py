"""Draws a scene as PNG by matplotlib's renderer (Agg), without its figures, axes and layout, which
would take ten times as long as the drawing itself.

Its fonts are used by one thread at a time. Most of a picture's time went into texts and into the file's
encoding: short texts, which come again, are kept as pixels, and rows are packed without a filter.
`drawing` says when matplotlib is loaded.
"""

import struct
import threading
import zlib
from dataclasses import replace
from functools import cache, lru_cache
from math import ceil
from typing import Any, Final

from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.font_manager import FontProperties
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
"""Flat colours take little room even so."""
PIXEL_BYTES: Final = 4
SHORT_TEXT: Final = 12
"""Texts up to so many signs, which are those on axes, are drawn once and kept."""
KEPT_TEXTS: Final = 256
MARGIN: Final = 3
"""Pixels around a text that is kept."""
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

    def __init__(self, width: int = WIDTH, height: int = HEIGHT) -> None:
        self._renderer = _renderer(width, height)

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
        width = _text_width(text.text, text.size)
        before = {"start": 0.0, "middle": width / 2, "end": width}[text.anchor]
        if text.is_upright:
            self._draw_text(text, text.x, text.y + before, 90)
        elif len(text.text) > SHORT_TEXT:
            self.write_at(replace(text, x=text.x - before))
        else:
            # At whole pixels, where a text looks the same each time.
            left = round(text.x - before) - MARGIN
            lowest = HEIGHT - round(text.y) - text.size + MARGIN
            image = _kept(text.text, text.size, text.colour)
            self._renderer.draw_image(self._pen(text.colour, 1), left, lowest, image)

    def write_at(self, text: Text) -> None:
        """Write a text that begins at its place."""
        self._draw_text(text, text.x, text.y, 0)

    def _draw_text(self, text: Text, x: float, y: float, angle: int) -> None:
        pen = self._pen(text.colour, 1)
        self._renderer.draw_text(pen, x, y, text.text, _font(text.size), angle)

    def rows(self) -> list[memoryview]:
        """The sheet's rows from above, each of RGBA pixels."""
        pixels = self._renderer.buffer_rgba()
        length = pixels.shape[1] * PIXEL_BYTES
        flat = pixels.cast("B")
        return [flat[start : start + length] for start in range(0, len(flat), length)]

    def encoded(self) -> bytes:
        """The sheet as a file: https://www.w3.org/TR/png, its rows as they are (filter 0)."""
        rows = b"".join(b"\0" + row for row in self.rows())
        header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 6, 0, 0, 0)
        return b"\x89PNG\r\n\x1a\n" + b"".join(
            (
                _chunk(b"IHDR", header),
                _chunk(b"IDAT", zlib.compress(rows, FAST_COMPRESSION)),
                _chunk(b"IEND", b""),
            )
        )

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


@lru_cache(KEPT_TEXTS)
def _kept(text: str, size: int, colour: str) -> memoryview:
    """A text as `draw_image` takes it, the lowest row first; its base line is `MARGIN` below `size`."""
    width, height = ceil(_text_width(text, size)) + 2 * MARGIN, 2 * size
    sheet = _Sheet(width, height)
    sheet.write_at(Text(MARGIN, size + MARGIN, text, colour, size=size))
    # The renderer takes only what could be written to.
    lowest_first = bytearray().join(reversed(sheet.rows()))
    return memoryview(lowest_first).cast("B", (height, width, PIXEL_BYTES))


def _text_width(text: str, size: int) -> float:
    return sum(_width(sign, size) for sign in text)


@cache
def _width(sign: str, size: int) -> float:
    """How wide one sign is: laying out a whole text takes a third as long as drawing it."""
    renderer = _renderer(1, 1)
    width, _, _ = renderer.get_text_width_height_descent(sign, _font(size), ismath=False)
    return float(width)


def _chunk(kind: bytes, content: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + check


def _path(places: list[Place], codes: Any = None) -> Path:
    return Path([(x, HEIGHT - y) for x, y in places], codes)

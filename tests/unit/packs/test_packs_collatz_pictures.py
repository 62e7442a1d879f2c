"""Pictures of chains: where things stand, that every digit is there, and that PNG and SVG agree."""

import io
import re
from itertools import pairwise
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.image import imread

from tailrace.packs.collatz.chains import chain
from tailrace.packs.collatz.drawing import Drawing
from tailrace.packs.collatz.pages import spans
from tailrace.packs.collatz.picture import COLOURS, Text, Theme, svg
from tailrace.packs.collatz.raster import SHORT_TEXT, _kept, _Sheet, png
from tailrace.packs.collatz.scene import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Scale,
    Scene,
    compose,
    power_text,
)

BEYOND_64_BITS = 64848224337147
SVG = "{http://www.w3.org/2000/svg}"


def scene(*numbers: int, scale: Scale = "log") -> Scene:
    return compose([(number, list(enumerate(chain(number)))) for number in numbers], scale)


def pixels(picture: bytes) -> tuple[int, int, set[str]]:
    """Width, height and the colours of a PNG."""
    rows = (imread(io.BytesIO(picture), format="png")[:, :, :3] * 255).round().astype("u4")
    mixed = np.unique(rows @ np.array([65536, 256, 1], "u4"))
    return rows.shape[1], rows.shape[0], {f"#{colour:06x}" for colour in mixed.tolist()}


@pytest.mark.parametrize("scale", ["log", "linear"])
@pytest.mark.parametrize("numbers", [(1,), (2,), (27,), (BEYOND_64_BITS,), (27, BEYOND_64_BITS)])
def test_everything_stands_within_the_picture(numbers: tuple[int, ...], scale: Scale) -> None:
    made = scene(*numbers, scale=scale)
    assert len(made.lines) == len(numbers)
    for line, number in zip(made.lines, numbers, strict=True):
        assert len(line.places) == len(list(chain(number)))
        assert all(LEFT <= x <= RIGHT and TOP <= y <= BOTTOM for x, y in line.places)
        assert line.top == min(line.places, key=lambda place: place[1])
    assert all(LEFT <= tick.at <= RIGHT for tick in made.steps)
    assert all(TOP <= tick.at <= BOTTOM for tick in made.values)
    for ticks in (made.steps, made.values):
        assert 1 <= len(ticks) <= 14
        assert len({tick.text for tick in ticks}) == len(ticks)


@given(st.lists(st.integers(1, 10**38 - 1), min_size=1, max_size=40), st.integers(0, 10**9))
def test_any_values_at_any_steps_can_be_drawn(values: list[int], first: int) -> None:
    points = [(first + 7 * place, value) for place, value in enumerate(values)]
    for scale in ("log", "linear"):
        made = compose([(5, points)], scale)
        assert all(LEFT <= x <= RIGHT and TOP <= y <= BOTTOM for x, y in made.lines[0].places)
        for one, other in pairwise(points):
            higher, lower = (one, other) if one[1] >= other[1] else (other, one)
            placed = dict(zip((step for step, _ in points), made.lines[0].places, strict=True))
            assert placed[higher[0]][1] <= placed[lower[0]][1]


def test_pictures_have_every_digit_as_text() -> None:
    written = svg(scene(BEYOND_64_BITS, 27), COLOURS["light"]).decode()
    assert "1,274,106,920,208,158,465,786,267,728 at step 341" in written
    assert "Plot of steps for number 64,848,224,337,147 and 27" in written


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_both_formats_have_the_size_and_the_colours_of_the_look(theme: Theme) -> None:
    look, made = COLOURS[theme], scene(27, 97)
    drawn = svg(made, look)
    tree = ElementTree.fromstring(drawn)  # noqa: S314 (our own)
    assert (tree.get("width"), tree.get("height")) == (str(WIDTH), str(HEIGHT))
    assert len(tree.findall(f"{SVG}polyline")) == 2
    # A page's policy of `default-src 'none'` takes nothing away from it.
    assert not re.search(rb"style|class=|href|<script|url\(", drawn)
    width, height, colours = pixels(png(made, look))
    assert (width, height) == (WIDTH, HEIGHT)
    for colour in (look.ground, look.grid, look.ink, look.mark, *look.lines):
        assert colour.encode() in drawn
        assert colour in colours


def test_a_picture_is_the_same_when_its_texts_are_kept() -> None:
    made = scene(27, scale="linear")
    _kept.cache_clear()
    first = png(made, COLOURS["light"])
    assert _kept.cache_info().currsize > 10
    dark = png(made, COLOURS["dark"])
    assert png(made, COLOURS["light"]) == first != dark


def test_kept_texts_stand_where_others_would() -> None:
    """Ink of the same text, drawn with the picture and kept, begins and ends at the same pixels."""
    for short, place in (("1,000", 100), ("5×10¹²", 250), ("Step number", 400)):
        boxes = []
        for text in (short, f"{short:<{SHORT_TEXT + 1}}"):
            sheet = _Sheet()
            sheet.write(Text(place, 200, text, "#000000", "start"))
            inked = np.array([list(row[3::4]) for row in sheet.rows()]) > 60
            boxes.append([np.flatnonzero(inked.any(axis))[[0, -1]].tolist() for axis in (0, 1)])
        assert boxes[0] == boxes[1]
        [[left, right], [upper, lower]] = boxes[0]
        assert place <= left < right < place + 100
        assert 185 < upper < lower < 205


async def test_what_draws_png_is_loaded_once() -> None:
    drawing = Drawing()
    drawing.expect_png()
    loading = drawing._loading
    drawing.expect_png()
    assert drawing._loading is loading is not None
    assert (await loading).startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (1, "1"),
        (999_999, "999,999"),
        (10**6, "10⁶"),
        (25 * 10**11, "2.5×10¹²"),
        (1274106920208158465786267728, "1.27×10²⁷"),
        (10**38 - 1, "9.99×10³⁷"),
    ],
)
def test_large_numbers_on_axes_are_powers(value: int, text: str) -> None:
    assert power_text(value) == text


@given(st.integers(0, 2000), st.integers(0, 2000), st.integers(1, 2000))
def test_moving_stays_within_the_chain(one: int, other: int, end: int) -> None:
    low, high = sorted((min(one, end), min(other, end)))
    for span in spans(low, high, end):
        assert 0 <= span.first <= span.last <= end, span
    assert (spans(low, high, end)[-1].first, spans(low, high, end)[-1].last) == (0, end)

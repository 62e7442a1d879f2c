"""Draws a scene in a light or a dark look: as SVG here, as PNG in `raster`, which looks the same."""

from dataclasses import dataclass
from typing import Final, Literal
from xml.sax.saxutils import escape

from tailrace.packs.collatz.scene import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Line, Place, Scene

Theme = Literal["light", "dark"]
Anchor = Literal["start", "middle", "end"]
FONT_SIZE: Final = 13
TITLE_SIZE: Final = 17
LINE_WIDTH: Final = 1.6
POINT_RADIUS: Final = 2.5
MARK_RADIUS: Final = 4.5


@dataclass(frozen=True)
class Colours:
    """A look."""

    ground: str
    ink: str
    muted: str
    grid: str
    lines: tuple[str, str]
    mark: str


COLOURS: Final[dict[Theme, Colours]] = {
    "light": Colours("#ffffff", "#1d2126", "#686e77", "#e6e3dc", ("#2a78d6", "#d4690f"), "#0f766e"),
    "dark": Colours("#161b1f", "#e5e7ea", "#8d96a0", "#262d33", ("#5b9be8", "#e0803a"), "#4fd1c0"),
}


@dataclass(frozen=True)
class Text:
    """Something written; `y` is its base line."""

    x: float
    y: float
    text: str
    colour: str
    anchor: Anchor = "middle"
    size: int = FONT_SIZE
    is_upright: bool = False
    """Read from below to above."""


def texts(scene: Scene, colours: Colours) -> list[Text]:
    """All that is written on a picture."""
    top_x, top_y = scene.lines[0].top
    aside = -9 if scene.is_note_left else 9
    written = [
        Text((LEFT + RIGHT) / 2, 30, scene.title, colours.ink, size=TITLE_SIZE),
        Text((LEFT + RIGHT) / 2, HEIGHT - 14, "Step number", colours.ink),
        Text(22, (TOP + BOTTOM) / 2, "Value", colours.ink, is_upright=True),
        Text(top_x + aside, top_y - 5, scene.note, colours.mark, "end" if aside < 0 else "start"),
    ]
    written += [Text(tick.at, BOTTOM + 20, tick.text, colours.muted) for tick in scene.steps]
    written += [
        Text(LEFT - 8, tick.at + 4.5, tick.text, colours.muted, "end") for tick in scene.values
    ]
    if len(scene.lines) > 1:
        for place, line in enumerate(scene.lines):
            written.append(
                Text(RIGHT, BOTTOM + 38 + 15 * place, line.name, colours.lines[place], "end")
            )
    return written


def svg(scene: Scene, colours: Colours) -> bytes:
    """The picture as SVG, whose texts stay texts."""
    grid = "".join(f"M{LEFT} {tick.at}H{RIGHT}" for tick in scene.values)
    grid += "".join(f"M{tick.at} {TOP}V{BOTTOM}" for tick in scene.steps)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}" font-family="system-ui, DejaVu Sans, sans-serif" '
        f'font-size="{FONT_SIZE}">',
        f"<title>{escape(scene.title)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="{colours.ground}"/>',
        f'<path d="{grid}M{LEFT} {TOP}H{RIGHT}V{BOTTOM}H{LEFT}Z" fill="none" stroke="{colours.grid}"/>',
        *(
            part
            for line, colour in zip(scene.lines, colours.lines, strict=False)
            for part in _svg_line(line, colour)
        ),
        _svg_dot(scene.lines[0].top, MARK_RADIUS, colours.mark),
        *(_svg_text(text) for text in texts(scene, colours)),
        "</svg>",
    ]
    return "\n".join(['<?xml version="1.0" encoding="UTF-8"?>', *parts, ""]).encode()


def _svg_line(line: Line, colour: str) -> list[str]:
    places = " ".join(f"{x},{y}" for x, y in line.places)
    drawn = (
        f'<polyline points="{places}" fill="none" stroke="{colour}" stroke-width="{LINE_WIDTH}" '
        'stroke-linejoin="round"/>'
    )
    return [
        drawn,
        *(_svg_dot(place, POINT_RADIUS, colour) for place in line.places if line.is_dotted),
    ]


def _svg_dot(place: Place, radius: float, colour: str) -> str:
    return f'<circle cx="{place[0]}" cy="{place[1]}" r="{radius}" fill="{colour}"/>'


def _svg_text(text: Text) -> str:
    turned = f' transform="rotate(-90 {text.x} {text.y})"' if text.is_upright else ""
    return (
        f'<text x="{text.x}" y="{text.y}" fill="{text.colour}" font-size="{text.size}" '
        f'text-anchor="{text.anchor}"{turned}>{escape(text.text)}</text>'
    )

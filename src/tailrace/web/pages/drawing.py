"""Turns a panel's answer into what its template writes: a table, bars, one number, lines in time.

An answer that does not have the columns of its kind of panel is a ConfigurationError that says which it
has and which it needs.
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final
from urllib.parse import quote

import orjson

from tailrace.errors import ConfigurationError
from tailrace.packs.dashboard import Kind, Panel, placeholders
from tailrace.search.fields import LEVELS, level_of
from tailrace.search.rows import iso_of_ns
from tailrace.search.visible import visible_text
from tailrace.web.panels import Answer
from tailrace.web.units import NOTHING, format_number, number_of

COLOURS: Final = "abcdefgh"
"""The colours of series that have none of their own, `--series-a` … in the styles."""
_TONES: Final = {
    "TRACE": "debug", "DEBUG": "debug", "INFO": "info", "NOTICE": "info", "WARNING": "warning",
    "ERROR": "error", "CRITICAL": "critical", "2XX": "info", "3XX": "debug", "4XX": "warning",
    "5XX": "error",
}  # fmt: skip
_MAX_QUOTED: Final = 120
_TITLED: Final = 30
"""Longer texts may be cut on the page, and can be read whole by pointing at them."""
_MAX_SHOWN: Final = 2000
"""Of a longer text the beginning is shown: two hundred rows of a megabyte are no page."""
_LATEST_SECONDS: Final = 200 * 365 * 86_400
"""Numbers further from 1970 are no seconds: perhaps milliseconds."""
_NUMBER: Final = re.compile(
    r"(?:LowCardinality\(|Nullable\(|SimpleAggregateFunction\(\w+, )*(?:U?Int|B?Float|Decimal)"
)

Ends = dict[str, str]
"""`from` and `to` as they were typed: what a link takes along."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One value in a table."""

    text: str
    title: str = ""
    link: str = ""
    tone: str = ""
    """The name of its colour, as levels have one."""
    is_number: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells under the names of their columns."""

    columns: tuple[tuple[str, bool], ...]
    """A name, and whether it has numbers."""
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True, slots=True)
class Bar:
    """A name with its number, and its share of the greatest number in per cent."""

    name: Cell
    text: str
    share: float


@dataclass(frozen=True, slots=True)
class Value:
    """A number in large, what it counts in small."""

    number: str
    unit: str
    title: str
    link: str


@dataclass(frozen=True, slots=True)
class Key:
    """A series in the legend."""

    name: str
    tone: str
    link: str


@dataclass(frozen=True, slots=True)
class Lines:
    """Series over time: for the script that draws them, for the legend, and as a table."""

    data: dict[str, Any]
    keys: tuple[Key, ...]
    table: Table
    left_out: int
    """Series that are in the table but not in the drawing."""


@dataclass(frozen=True, slots=True)
class _Series:
    name: str
    values: dict[int, int | float | None]
    row: dict[str, Any]

    @property
    def total(self) -> float:
        return sum(abs(value) for value in self.values.values() if value is not None)


Drawing = Table | tuple[Bar, ...] | Value | Lines


def draw(answer: Answer, ends: Ends) -> Drawing:
    """What the panel shows of its answer; of one without rows, which has no columns, nothing."""
    if not answer.result.rows and answer.panel.kind != "value":
        return Table((), ())
    return _DRAW[answer.panel.kind](answer, ends)


def _draw_table(answer: Answer, ends: Ends) -> Table:
    panel, result = answer.panel, answer.result
    columns = tuple(
        (name, _is_number(kind)) for name, kind in zip(result.columns, result.types, strict=True)
    )
    today = f"{answer.span.end:%Y-%m-%d}"
    rows = []
    for values in result.rows:
        row = dict(zip(result.columns, values, strict=True))
        cells = [_cell(value, panel.units.get(name, ""), today) for name, value in row.items()]
        if panel.link and cells:
            first = cells[0]
            link = _link(panel, row, ends)
            cells[0] = Cell(first.text, first.title, link, first.tone, first.is_number)
        rows.append(tuple(cells))
    return Table(columns, tuple(rows))


def _draw_bars(answer: Answer, ends: Ends) -> tuple[Bar, ...]:
    _expect(answer, len(answer.result.columns) == 2, "a name and a number")
    _expect(
        answer, all(_may_be_number(row[1]) for row in answer.result.rows), "a name and a number"
    )
    numbers = [number_of(row[1]) for row in answer.result.rows]
    greatest = max((abs(number) for number in numbers if number), default=1)
    bars = []
    for values, number in zip(answer.result.rows, numbers, strict=True):
        row = dict(zip(answer.result.columns, values, strict=True))
        name = _text(values[0]) or "(none)"
        cell = Cell(_shown(name), "", _link(answer.panel, row, ends), tone_of(name))
        share = round(100 * abs(number or 0) / greatest, 1)
        bars.append(Bar(cell, format_number(number, answer.panel.unit), share))
    return tuple(bars)


def _draw_value(answer: Answer, ends: Ends) -> Value:
    _expect(answer, len(answer.result.columns) < 2, "one number")
    value = answer.result.value() if answer.result.rows else None
    _expect(answer, _may_be_number(value), "one number")
    number, unit = number_of(value), answer.panel.unit
    text, _, rest = format_number(number, unit, short=True).partition(" ")
    row = dict.fromkeys(answer.result.columns, value)
    return Value(text, rest, format_number(number, unit), _link(answer.panel, row, ends))


def _draw_lines(answer: Answer, ends: Ends) -> Lines:
    panel, span = answer.panel, answer.span
    series = _series(answer)
    times = _times(answer, series)
    nothing = 0 if panel.fill == "zero" else None
    shown = sorted(series, key=lambda one: -one.total)[: len(COLOURS)]
    drawn = [one for one in series if one in shown]
    keys = tuple(
        Key(_shown(one.name), _colour(one.name, place, panel), _link(panel, one.row, ends))
        for place, one in enumerate(drawn)
    )
    data = {
        "times": times,
        "values": [[one.values.get(time, nothing) for time in times] for one in drawn],
        "from": span.start.timestamp(),
        "to": span.end.timestamp(),
        "step": int(span.step.total_seconds()),
        "unit": panel.unit,
        "draw": panel.draw,
    }
    rows = tuple(
        (
            Cell(_moment_text(time)),
            *(
                Cell(format_number(one.values.get(time, nothing), panel.unit), is_number=True)
                for one in series
            ),
        )
        for time in times
    )
    columns = (("time", False), *((_shown(one.name), True) for one in series))
    return Lines(data, keys, Table(columns, rows), len(series) - len(drawn))


def _series(answer: Answer) -> list[_Series]:
    """The series of an answer; levels by their severity, other names as people sort them."""
    columns, types, rows = answer.result.columns, answer.result.types, answer.result.rows
    _expect(answer, len(columns) > 1, "the time, and a number or a name and a number")
    if len(columns) == 3 and not _is_number(types[1]):
        found: dict[str, _Series] = {}
        for row in rows:
            name = _text(row[1]) or "(none)"
            one = found.setdefault(name, _Series(name, {}, {columns[1]: row[1]}))
            one.values[_seconds(answer, row[0])] = number_of(row[2])
        return sorted(found.values(), key=lambda one: _rank(one.name))
    _expect(
        answer, all(map(_is_number, types[1:])), "the time, and a number or a name and a number"
    )
    return [
        _Series(name, {_seconds(answer, row[0]): number_of(row[place]) for row in rows}, {})
        for place, name in enumerate(columns[1:], 1)
    ]


def _times(answer: Answer, series: Sequence[_Series]) -> list[int]:
    """Every step of the span, or only the times that came where those are no steps of it."""
    span = answer.span
    step_secs = int(span.step.total_seconds())
    came = sorted({time for one in series for time in one.values})
    steps = range(int(span.first.timestamp()), math.ceil(span.end.timestamp()), step_secs)
    return list(steps) if set(came) <= set(steps) else came


def _colour(name: str, place: int, panel: Panel) -> str:
    tone = tone_of(name)
    if tone == "info" and panel.draw == "bars":
        return "calm"  # as in the histogram of the log page
    return tone or f"series-{COLOURS[place]}"


def tone_of(name: str) -> str:
    """The colour that a level or a class of HTTP status has by itself; '' for other names."""
    return _TONES.get(level_of(name), "")


def _rank(name: str) -> tuple[int, float, str]:
    level = level_of(name)
    severity = LEVELS.index(level) if level in LEVELS else len(LEVELS)
    number = float(name) if name.isdecimal() else float("inf")
    return severity, number, name


def _seconds(answer: Answer, value: object) -> int:
    """A time as whole seconds since 1970."""
    if isinstance(value, datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=UTC)
        return int(aware.timestamp())
    if isinstance(value, date):
        return int(datetime(value.year, value.month, value.day, tzinfo=UTC).timestamp())
    number = number_of(value)
    _expect(answer, number is not None and abs(number) <= _LATEST_SECONDS, "the time first")
    return int(number or 0)


def _expect(answer: Answer, holds: bool, wanted: str) -> None:
    if not holds:
        came = ", ".join(
            f"{name} {kind}"
            for name, kind in zip(answer.result.columns, answer.result.types, strict=True)
        )
        raise ConfigurationError(
            f"cannot draw {answer.panel.title!r} as {answer.panel.kind}: its SQL gives ({came}) "
            f"and must give {wanted}"
        )


def _is_number(kind: str) -> bool:
    return _NUMBER.match(kind) is not None


def _may_be_number(value: object) -> bool:
    """Whether a value is a number, or NULL, NaN or infinity in the place of one."""
    return value is None or isinstance(value, float) or number_of(value) is not None


def _cell(value: object, unit: str, today: str) -> Cell:
    if isinstance(value, datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=UTC)
        micros = (aware.astimezone(UTC) - _EPOCH) // _MICROSECOND
        iso = iso_of_ns(micros * 1000)
        return Cell(iso[11:23] if iso[:10] == today else f"{iso[:10]} {iso[11:23]}", iso)
    number = number_of(value)
    if number is not None:
        return Cell(format_number(number, unit), str(number), is_number=True)
    if value is None or isinstance(value, float):
        return Cell(NOTHING, is_number=isinstance(value, float))
    text = _text(value)
    shown = _shown(text)
    return Cell(shown, shown if len(shown) > _TITLED else "", tone=tone_of(text))


def _shown(text: str) -> str:
    return visible_text(text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…")


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, list | tuple | dict):
        return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    return "" if value is None else str(value)


def _moment_text(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}"


def _link(panel: Panel, row: dict[str, Any], ends: Ends) -> str:
    """The panel's link with a row's values in it."""
    if not panel.link:
        return ""
    link, known = panel.link, {**row, **ends}
    for name in placeholders(panel.link):
        if name not in known:
            raise ConfigurationError(
                f"cannot link from {panel.title!r}: its link has {{{name}}}, and its SQL gives "
                f"{', '.join(row) or 'no columns'}"
            )
        value = _text(known[name])
        link = link.replace(f'"{{{name}}}"', quote(f'"{_as_phrase(value)}"', safe=""))
        link = link.replace(f"{{{name}}}", quote(value, safe=""))
    return link


def _as_phrase(text: str) -> str:
    """A text between double quotes in the search language; a long one ends behind a word."""
    if len(text) > _MAX_QUOTED:
        text = text[:_MAX_QUOTED].rsplit(maxsplit=1)[0]
    return text.replace("\\", "\\\\").replace('"', '\\"')


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = datetime.resolution
_DRAW: Final[dict[Kind, Callable[[Answer, Ends], Drawing]]] = {
    "table": _draw_table,
    "bar": _draw_bars,
    "value": _draw_value,
    "time_series": _draw_lines,
}

"""Turns rows into what a template writes. Every text stays text: Jinja escapes it, always.

Characters that cannot be seen, or that change how their neighbours are shown (control characters,
escape sequences, changes of writing direction), are replaced by visible signs, so that a log line
cannot pretend to be another. `static/rows.js` does the same for rows that arrive live.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PackageLoader, StrictUndefined

from tailrace.packs import Pack
from tailrace.search.parse import parse
from tailrace.search.syntax import Match, leaves
from tailrace.search.visible import HIDDEN, sign, visible_text
from tailrace.web.static_files import StaticFiles, path_of

Kind = Literal["plain", "match", "value", "control"]

_VALUE: Final = re.compile(r"(?<=[\w\]]=)-?\d[\w.,:%-]*")
_MAX_HIGHLIGHTED: Final = 20_000


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a message and how it is shown."""

    text: str
    kind: Kind


def highlights(text: str) -> list[str]:
    """The texts that a search looks for in messages, as far as they can be marked."""
    found = []
    for leaf, negated in leaves(parse(text)):
        if isinstance(leaf, Match) and leaf.field in (None, "message", "msg") and not negated:
            found += [part for part in leaf.value.parts if part.strip()]
    return found


def segments(text: str, marks: Sequence[str] = (), *, lines: bool = False) -> list[Segment]:
    """A message cut into pieces: what the search found, numbers after `=`, hidden characters.

    With `lines`, line breaks stay what they are.
    """
    pieces: list[Segment] = []
    for index, part in enumerate(HIDDEN.split(text)):
        if index % 2 == 0:
            pieces += _marked(part, marks)
        elif lines and set(part) <= {"\n", "\r"}:
            pieces.append(Segment(part, "plain"))
        else:
            pieces.append(Segment("".join(map(sign, part)), "control"))
    return pieces


def _marked(text: str, marks: Sequence[str]) -> list[Segment]:
    if not marks or len(text) > _MAX_HIGHLIGHTED:
        return _valued(text)
    alternatives = "|".join(re.escape(mark) for mark in sorted(marks, key=len, reverse=True))
    pieces: list[Segment] = []
    for index, part in enumerate(re.split(f"({alternatives})", text, flags=re.IGNORECASE)):
        if index % 2:
            pieces.append(Segment(part, "match"))
        elif part:
            pieces += _valued(part)
    return pieces


def _valued(text: str) -> list[Segment]:
    pieces = []
    at = 0
    for found in _VALUE.finditer(text):
        pieces.append(Segment(text[at : found.start()], "plain"))
        pieces.append(Segment(found.group(), "value"))
        at = found.end()
    pieces.append(Segment(text[at:], "plain"))
    return [piece for piece in pieces if piece.text]


def short_count(count: int) -> str:
    """1,204 or 1.2 M."""
    for unit, size in (("G", 10**9), ("M", 10**6)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count:,}"


class Renderer:
    """The templates, with the few functions that they use."""

    def __init__(self, static: StaticFiles, pack: Pack | None = None) -> None:
        ours = PackageLoader("tailrace.web", "templates")
        self._static = static
        self._environment = Environment(
            loader=ChoiceLoader([ours, FileSystemLoader(pack.templates)]) if pack else ours,
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals.update(static=static.url, segments=segments)
        if pack:
            self._environment.globals["own"] = lambda name: static.url(path_of(pack, name))
        self._environment.filters.update(
            visible=visible_text,
            short_count=short_count,
            to_json=json.dumps,
        )

    def of_pack(self, pack: Pack) -> "Renderer":
        """These templates, and those of a pack beside them, in which `own` is `static` for its files."""
        return Renderer(self._static, pack)

    def render(self, template: str, **values: object) -> str:
        """The HTML of a template."""
        return self._environment.get_template(template).render(values)

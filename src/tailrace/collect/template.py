"""Texts with holes that each event fills: `logs/{{ app }}/%Y-%m-%d.log`, as Vector has them.

`{{ path }}` stands for a field, and strftime's letters for the event's timestamp, in UTC or in the
zone that is given. Events come from anybody, so what they may choose is confined: a template begins
with literal text, and a result that leads out of that text's folder is refused.
"""

import posixpath
import re
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import cached_property
from typing import Annotated

import orjson
from pydantic import AfterValidator

from tailrace.clock import utc_now
from tailrace.collect.fields import get_field, split_path
from tailrace.collect.transform import Event, Timestamp

_HOLE = re.compile(r"\{\{\s*(.*?)\s*\}\}")
_LETTER = re.compile(r"%(.?)")
_LETTERS = frozenset("aAbBCdDeFgGhHIjklmMpPrRsSTuUVwWyYzZ%")
"""Those that mean the same in Vector (chrono) and here (the C library)."""


class TemplateError(ValueError):
    """An event that the template cannot be filled in from; fit for the rejected table."""


@dataclass(frozen=True)
class Template:
    """A checked template."""

    text: str

    @classmethod
    def parse(cls, text: str) -> "Template":
        """Check the holes and the letters; raises ValueError."""
        for hole in _HOLE.finditer(text):
            split_path(hole[1])
        for letter in _LETTER.finditer(_HOLE.sub("", text)):
            if letter[1] not in _LETTERS:
                raise ValueError(
                    f"cannot use {letter[0]!r} in a template: known are %"
                    f"{', %'.join(sorted(_LETTERS))}"
                )
        return cls(text)

    @cached_property
    def is_fixed(self) -> bool:
        """Whether every event gives the same text."""
        return not self.has_fields and not _LETTER.search(self.text)

    @property
    def has_fields(self) -> bool:
        """Whether events' fields are in it."""
        return bool(_HOLE.search(self.text))

    @property
    def prefix(self) -> str:
        """The literal text before the first hole or letter."""
        return re.split(r"\{\{|%", self.text, maxsplit=1)[0]

    def fill(self, event: Event, zone: tzinfo = UTC, *, with_tables: bool = False) -> str:
        """The text for an event; raises TemplateError where a field is missing.

        `with_tables`: a field may be an object or an array, whose text is its JSON.
        """
        if self.is_fixed:
            return self.text
        moment: datetime | None = None
        parts: list[str] = []
        for index, part in enumerate(self._parts):
            if index % 2:
                parts.append(_field(event, part, with_tables=with_tables))
            elif "%" in part:
                moment = moment or _moment(event).astimezone(zone)
                parts.append(moment.strftime(part))
            else:
                parts.append(part)
        return "".join(parts)

    @cached_property
    def _parts(self) -> list[str]:
        """Literal text and paths of fields, by turns."""
        return _HOLE.split(self.text)


def _check(text: str) -> str:
    Template.parse(text)
    return text


TemplateText = Annotated[str, AfterValidator(_check)]
"""An option that is a template."""


def is_inside(path: str, folder: str) -> bool:
    """Whether `path`, its `..` worked out, is below `folder`."""
    found = posixpath.normpath(path)
    base = posixpath.normpath(folder) if folder else "."
    if base == ".":
        return not found.startswith(("/", "../")) and found != ".."
    return found.startswith(base if base.endswith("/") else f"{base}/")


def _field(event: Event, path: str, *, with_tables: bool) -> str:
    value = get_field(event, split_path(path))
    if with_tables and isinstance(value, dict | list):
        return orjson.dumps(value).decode()
    if value is None or isinstance(value, dict | list):
        raise TemplateError(f"cannot fill in {{{{ {path} }}}}: the event has no such field")
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if "\0" in text:
        raise TemplateError(f"cannot fill in {{{{ {path} }}}}: the field has a NUL character")
    return text


def _moment(event: Event) -> datetime:
    """The event's timestamp; as in Vector now, where it has none or only text."""
    timestamp = event.get("timestamp")
    if isinstance(timestamp, Timestamp):
        return datetime.fromisoformat(timestamp[:19] + "+00:00")
    return utc_now()

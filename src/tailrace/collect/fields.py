"""Paths to fields inside of events, as options give them: `host`, `.kubernetes.pod`, `a."b.c"`."""

import re
from functools import lru_cache
from typing import Any

from tailrace.collect.transform import Event

_PART = re.compile(r'"((?:[^"\\]|\\.)*)"|([^."\[\]]+)')

Path = tuple[str, ...]


@lru_cache(10_000)
def split_path(text: str) -> Path:
    """The names on the way to a field; raises ValueError."""
    rest = text.strip().removeprefix(".")
    names: list[str] = []
    while rest:
        part = _PART.match(rest)
        if part is None:
            break
        names.append(part[2] if part[1] is None else part[1].replace('\\"', '"'))
        rest = rest[part.end() :]
        if rest.startswith(".") and len(rest) > 1:
            rest = rest[1:]
        elif rest:
            break
    if rest or not names:
        raise ValueError(f"cannot read {text!r} as a field: give names joined by dots, as in a.b")
    return tuple(names)


def get_field(event: Event, path: Path, default: Any = None) -> Any:
    """The field's value; `default` where there is none."""
    value: Any = event
    for name in path:
        if not isinstance(value, dict) or name not in value:
            return default
        value = value[name]
    return value


def put_field(event: Event, path: Path, value: Any) -> None:
    """Set a field of an event that nobody else has."""
    *tables, last = path
    for name in tables:
        inner = event.get(name)
        event[name] = event = dict(inner) if isinstance(inner, dict) else {}
    event[last] = value


def without_field(event: Event, path: Path) -> Event:
    """The event without one field; shares everything else with the event that was given."""
    first, *rest = path
    if first not in event:
        return event
    if not rest:
        return {name: value for name, value in event.items() if name != first}
    inner = event[first]
    if not isinstance(inner, dict):
        return event
    return {**event, first: without_field(inner, tuple(rest))}

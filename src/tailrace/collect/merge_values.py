"""How values of one field become one value: the strategies of the transform `reduce`.

A merge in progress is a list of its strategy and what it has gathered, nothing else, so that it can
be written down. A value that its strategy cannot take (text for `sum`, a number for `concat`) is left
out, as in Vector; where none can be taken there is no merge.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from tailrace.collect.transform import Timestamp

Merge = list[Any]
"""The strategy's name, then what it has gathered."""

TAKE_NULL = frozenset({"discard", "retain"})
"""Strategies by which a field may come out as null."""


@dataclass(frozen=True)
class Strategy:
    """What a strategy does with the first value, and with each that follows."""

    first: Callable[[Any], Any]
    add: Callable[[Any, Any], Any]
    finish: Callable[[Any], Any] = lambda gathered: gathered


def begin(value: Any, strategy: str | None = None) -> Merge | None:
    """A merge of one value, or None where the strategy cannot take it.

    Without a strategy the value's type decides, as in Vector.
    """
    name = strategy or _default(value)
    if name == "concat" and isinstance(value, list):
        name = "concat_array"
    gathered = STRATEGIES[name].first(value)
    return None if gathered is None and name not in TAKE_NULL else [name, gathered]


def add(merge: Merge, value: Any) -> None:
    """One more value."""
    name, gathered = merge
    merge[1] = STRATEGIES[name].add(gathered, value)


def finish(merge: Merge) -> Any:
    """What came of it."""
    name, gathered = merge
    return STRATEGIES[name].finish(gathered)


def _default(value: Any) -> str:
    if isinstance(value, bool):
        return "discard"
    if isinstance(value, int | float):
        return "sum"
    return "timestamp_window" if isinstance(value, Timestamp) else "discard"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_comparable(gathered: Any, value: Any) -> bool:
    if gathered is None:
        return _is_number(value) or isinstance(value, Timestamp)
    both = (gathered, value)
    return all(map(_is_number, both)) or all(isinstance(each, Timestamp) for each in both)


def _sum(gathered: Any, value: Any) -> Any:
    return (gathered or 0) + value if _is_number(value) else gathered


def _max(gathered: Any, value: Any) -> Any:
    if not _is_comparable(gathered, value):
        return gathered
    return value if gathered is None or value > gathered else gathered


def _min(gathered: Any, value: Any) -> Any:
    if not _is_comparable(gathered, value):
        return gathered
    return value if gathered is None or value < gathered else gathered


def _append(gathered: list[Any], value: Any) -> list[Any]:
    gathered.append(value)
    return gathered


def _extend(gathered: list[Any], value: Any) -> list[Any]:
    if isinstance(value, list):
        gathered.extend(value)
    else:
        gathered.append(value)
    return gathered


def _text(value: Any) -> list[str] | None:
    return [value] if isinstance(value, str) else None


def _add_text(gathered: list[str], value: Any) -> list[str]:
    if isinstance(value, str):
        gathered.append(value)
    return gathered


def _unique(gathered: dict[bytes, Any], value: Any) -> dict[bytes, Any]:
    items = value if isinstance(value, list) else [value]
    if isinstance(value, dict):
        items = list(value.values())
    for item in items:
        gathered.setdefault(orjson.dumps(item), item)
    return gathered


def _longer(gathered: Any, value: Any) -> Any:
    if not isinstance(value, list):
        return gathered
    return value if gathered is None or len(value) > len(gathered) else gathered


def _shorter(gathered: Any, value: Any) -> Any:
    if not isinstance(value, list):
        return gathered
    return value if gathered is None or len(value) < len(gathered) else gathered


def _window(gathered: list[Any], value: Any) -> list[Any]:
    return [gathered[0], value] if isinstance(value, Timestamp) else gathered


STRATEGIES: dict[str, Strategy] = {
    "array": Strategy(lambda value: [value], _append),
    "concat": Strategy(_text, _add_text, " ".join),
    "concat_newline": Strategy(_text, _add_text, "\n".join),
    "concat_raw": Strategy(_text, _add_text, "".join),
    "concat_array": Strategy(list, _extend),
    "discard": Strategy(lambda value: value, lambda gathered, value: gathered),
    "flat_unique": Strategy(
        lambda value: _unique({}, value), _unique, lambda gathered: list(gathered.values())
    ),
    "longest_array": Strategy(lambda value: _longer(None, value), _longer),
    "max": Strategy(lambda value: _max(None, value), _max),
    "min": Strategy(lambda value: _min(None, value), _min),
    "retain": Strategy(
        lambda value: value, lambda gathered, value: gathered if value is None else value
    ),
    "shortest_array": Strategy(lambda value: _shorter(None, value), _shorter),
    "sum": Strategy(lambda value: _sum(None, value), _sum),
    "timestamp_window": Strategy(lambda value: [value, value], _window),
}
"""By Vector's names; `concat_array` and `timestamp_window` are what Vector does unasked."""

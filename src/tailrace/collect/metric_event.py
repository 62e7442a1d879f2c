"""A metric is an event of this shape, which is the JSON that Vector writes of its metrics:

    name · namespace and tags, where it has any · timestamp · kind, incremental or absolute

and one of the values

    counter {value} · gauge {value} · set {values}
    distribution {samples [{value, rate}], statistic}, which is histogram or summary
    aggregated_histogram {buckets [{upper_limit, count}], count, sum}
    aggregated_summary {quantiles [{quantile, value}], count, sum}

Numbers are finite, a tag has one value, which is text, and the timestamp is a `Timestamp`. So a
metric goes wherever an event goes, and whoever is given metrics need not look whether they are sound.
"""

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal

import orjson

from tailrace.clock import utc_now
from tailrace.collect.line_protocol import nanoseconds
from tailrace.collect.transform import Event, Timestamp, as_timestamp

Table = Mapping[str, Any]
MetricKind = Literal["incremental", "absolute"]

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)


class MetricError(ValueError):
    """What cannot become a metric; fit for the rejected table."""


def make_metric(
    name: str,
    namespace: str | None,
    tags: Mapping[str, str],
    timestamp: Timestamp,
    kind: MetricKind,
    value: tuple[str, Table],
) -> Event:
    """A metric whose value is, for instance, `("counter", {"value": 1.0})`."""
    event: Event = {"name": name}
    if namespace:
        event["namespace"] = namespace
    if tags:
        event["tags"] = dict(sorted(tags.items()))
    value_name, content = value
    return {**event, "timestamp": timestamp, "kind": kind, value_name: content}


def read_metric(log: Event) -> Event:
    """The metric that a log spells out; raises MetricError."""
    name, kind = _text(log, "name"), _text(log, "kind")
    if kind not in ("incremental", "absolute"):
        raise MetricError(f"cannot use {_short(kind)} as .kind: it is incremental or absolute")
    found = next((key for key in sorted(log) if key in _READERS), None)
    if found is None:
        raise MetricError(f"cannot find the value: it is one of {', '.join(sorted(_READERS))}")
    value_name, read = _READERS[found]
    table = log[found]
    if not isinstance(table, dict):
        raise MetricError(f"cannot use {_short(table)} as .{found}: it is an object")
    namespace, tags = log.get("namespace"), log.get("tags")
    return make_metric(
        name,
        namespace if isinstance(namespace, str) else None,
        {k: v for k, v in tags.items() if isinstance(v, str)} if isinstance(tags, dict) else {},
        time_of(log),
        "absolute" if kind == "absolute" else "incremental",
        (value_name, read(f".{found}", table)),
    )


def time_of(log: Event) -> Timestamp:
    """The time of a log, which may be text of RFC 3339; now, where it says none."""
    timestamp = log.get("timestamp")
    if isinstance(timestamp, Timestamp):
        return timestamp
    time = nanoseconds(timestamp) if isinstance(timestamp, str) else None
    if time is None:
        return as_timestamp(int(utc_now().timestamp() * 1000))
    second = datetime.fromtimestamp(time // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return Timestamp(f"{second}.{time % 1_000_000_000:09d}Z")


def number_of(value: Any, field: str) -> float:
    """The number that a field's value is, as text or otherwise; raises MetricError."""
    is_number = not isinstance(value, bool) and isinstance(value, int | float)
    if is_number or (isinstance(value, str) and _NUMBER.fullmatch(value)):
        number = float(value)
        if math.isfinite(number):
            return number
    raise MetricError(f"cannot use {_short(value)}, the value of {field}, as a number")


def text_of(value: Any) -> str:
    """A field's value as Vector writes it into texts."""
    if isinstance(value, str):
        return value
    return decimal(value) if isinstance(value, float) else orjson.dumps(value).decode()


def decimal(number: float) -> str:
    """A number without an exponent and without zeros that say nothing, as Vector writes it."""
    text = repr(number)
    if "e" in text:
        text = format(Decimal(text), "f")
    return text.removesuffix(".0")


def _read_value(path: str, table: Table) -> Table:
    return {"value": _number(path, table, "value")}


def _read_set(path: str, table: Table) -> Table:
    values = _list(path, table, "values")
    for value in values:
        if not isinstance(value, str):
            raise MetricError(f"cannot use {_short(value)} in {path}.values: it is text")
    return {"values": sorted(set(values))}


def _read_distribution(path: str, table: Table) -> Table:
    samples = [
        {"value": _number(place, sample, "value"), "rate": _count(place, sample, "rate")}
        for place, sample in _tables(path, table, "samples")
    ]
    statistic = table.get("statistic")
    if statistic not in ("histogram", "summary"):
        raise MetricError(
            f"cannot use {_short(statistic)} as {path}.statistic: it is histogram or summary"
        )
    return {"samples": samples, "statistic": statistic}


def _read_histogram(path: str, table: Table) -> Table:
    buckets = [
        {
            "upper_limit": _number(place, bucket, "upper_limit"),
            "count": _count(place, bucket, "count"),
        }
        for place, bucket in _tables(path, table, "buckets")
    ]
    return {"buckets": buckets, **_totals(path, table)}


def _read_summary(path: str, table: Table) -> Table:
    quantiles = [
        {"quantile": _number(place, one, "quantile"), "value": _number(place, one, "value")}
        for place, one in _tables(path, table, "quantiles")
    ]
    return {"quantiles": quantiles, **_totals(path, table)}


_READERS: dict[str, tuple[str, Callable[[str, Table], Table]]] = {
    "aggregated_histogram": ("aggregated_histogram", _read_histogram),
    "aggregated_summary": ("aggregated_summary", _read_summary),
    "counter": ("counter", _read_value),
    "distribution": ("distribution", _read_distribution),
    "gauge": ("gauge", _read_value),
    "histogram": ("aggregated_histogram", _read_histogram),
    "set": ("set", _read_set),
    "summary": ("aggregated_summary", _read_summary),
}
"""By the name that a log has for a value: the metric's own, and what reads it."""


def _totals(path: str, table: Table) -> Table:
    return {"count": _count(path, table, "count"), "sum": _number(path, table, "sum")}


def _text(log: Event, key: str) -> str:
    value = log.get(key)
    if not isinstance(value, str):
        raise MetricError(f"cannot use {_short(value)} as .{key}: it is text")
    return value


def _number(path: str, table: Table, key: str) -> float:
    value = table.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise MetricError(f"cannot use {_short(value)} as {path}.{key}: it is a number")
    return float(value)


def _count(path: str, table: Table, key: str) -> int:
    value = table.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise MetricError(f"cannot use {_short(value)} as {path}.{key}: it is a count")
    return value


def _list(path: str, table: Table, key: str) -> list[Any]:
    value = table.get(key)
    if not isinstance(value, list):
        raise MetricError(f"cannot use {_short(value)} as {path}.{key}: it is an array")
    return value


def _tables(path: str, table: Table, key: str) -> list[tuple[str, Table]]:
    """Each object of an array, with its place."""
    found: list[tuple[str, Table]] = []
    for number, value in enumerate(_list(path, table, key)):
        place = f"{path}.{key}[{number}]"
        if not isinstance(value, dict):
            raise MetricError(f"cannot use {_short(value)} as {place}: it is an object")
        found.append((place, value))
    return found


def _short(value: Any) -> str:
    text = orjson.dumps(value).decode()
    return text if len(text) <= 60 else f"{text[:57]}…"

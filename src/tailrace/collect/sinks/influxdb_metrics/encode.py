"""Metrics as points in InfluxDB's line protocol, with Vector's fields. Runs in worker processes."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import accumulate
from typing import Any

import orjson
from typing_extensions import override

from tailrace.collect.encoding import SinkFraming, frame
from tailrace.collect.line_protocol import key, nanoseconds, series
from tailrace.collect.metric_event import decimal
from tailrace.collect.sink import Encoder
from tailrace.collect.sinks.influxdb_metrics.series import Change
from tailrace.collect.transform import Event

Fields = Iterator[tuple[str, str]]

_LENGTHS = SinkFraming(method="length_delimited")
_HISTOGRAM_QUANTILES = (0.95,)
_MARK = b"\n"
"""Stands before what is no point yet, and within it: nowhere in a point is a newline."""

_WORKED_OUT = {("counter", "absolute"), ("gauge", "incremental")}
"""What is written of these depends on what the series has said before."""


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A point whose value is still to be worked out."""

    change: Change
    before: bytes
    """The point up to its value."""
    after: bytes
    """What follows on the value."""

    def with_value(self, value: float) -> bytes:
        """The point."""
        return self.before + decimal(value).encode() + self.after


def unfinished(data: bytes) -> Unfinished | None:
    """What `data`, of the encoder, is if it is no point yet."""
    if not data.startswith(_MARK):
        return None
    name, series_id, value, before, after = data[len(_MARK) :].split(_MARK)
    change = Change(bytes.fromhex(series_id.decode()), name.decode(), float(value))
    return Unfinished(change, before, after)


def finished(points: Iterable[bytes]) -> bytes:
    """Points as the encoder hands them on."""
    return frame(points, _LENGTHS)


@dataclass(frozen=True)
class MetricEncoder(Encoder):
    """See the fields; most of them are options of the sink."""

    default_namespace: str | None
    tags: Mapping[str, str]
    quantiles: tuple[float, ...]
    count_suffix: str
    """What marks a whole number: `i`, and `u` since version 2."""

    @override
    def encode(self, events: list[Event]) -> bytes:
        return frame((self._point(event) for event in events), _LENGTHS)

    def _point(self, metric: Event) -> bytes:
        value_name = next(name for name in _FIELDS if name in metric)
        metric_type, fields_of = _FIELDS[value_name]
        tags = {**metric.get("tags", {}), **self.tags, "metric_type": metric_type}
        namespace = metric.get("namespace") or self.default_namespace
        name = f"{namespace}.{metric['name']}" if namespace else metric["name"]
        time = nanoseconds(metric["timestamp"])
        end = "" if time is None else f" {time}"
        if (value_name, metric["kind"]) in _WORKED_OUT:
            value = repr(metric[value_name]["value"])
            parts = ["", value_name, _series_id(metric), value, f"{series(name, tags)} value=", end]
            return _MARK.join(part.encode() for part in parts)
        fields = ",".join(
            f"{key(field)}={text}" for field, text in fields_of(self, metric[value_name])
        )
        return f"{series(name, tags)} {fields}{end}".encode()

    def _value(self, value: Mapping[str, Any]) -> Fields:
        yield "value", decimal(value["value"])

    def _set(self, value: Mapping[str, Any]) -> Fields:
        yield "value", str(len(set(value["values"])))

    def _histogram(self, value: Mapping[str, Any]) -> Fields:
        for bucket in value["buckets"]:
            yield f"bucket_{decimal(bucket['upper_limit'])}", self._count(bucket["count"])
        yield from self._totals(value)

    def _summary(self, value: Mapping[str, Any]) -> Fields:
        for one in value["quantiles"]:
            yield f"quantile_{decimal(one['quantile'])}", decimal(one["value"])
        yield from self._totals(value)

    def _distribution(self, value: Mapping[str, Any]) -> Fields:
        is_summary = value["statistic"] == "summary"
        quantiles = self.quantiles if is_summary else _HISTOGRAM_QUANTILES
        return ((name, decimal(number)) for name, number in _statistics(value, quantiles))

    def _totals(self, value: Mapping[str, Any]) -> Fields:
        yield "count", self._count(value["count"])
        yield "sum", decimal(value["sum"])

    def _count(self, count: int) -> str:
        return f"{count}{self.count_suffix}"


_FIELDS: dict[str, tuple[str, Callable[[MetricEncoder, Mapping[str, Any]], Fields]]] = {
    "counter": ("counter", MetricEncoder._value),
    "gauge": ("gauge", MetricEncoder._value),
    "set": ("set", MetricEncoder._set),
    "distribution": ("distribution", MetricEncoder._distribution),
    "aggregated_histogram": ("histogram", MetricEncoder._histogram),
    "aggregated_summary": ("summary", MetricEncoder._summary),
}
"""By a value's name: the tag `metric_type`, and the point's fields."""


def _series_id(metric: Event) -> str:
    """The same for metrics of one name, namespace and tags; a series is known by these in Vector."""
    parts = [metric.get("namespace"), metric["name"], metric.get("tags", {})]
    data = orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)
    return blake2b(data, digest_size=16).hexdigest()


def _statistics(
    distribution: Mapping[str, Any], quantiles: Sequence[float]
) -> Iterator[tuple[str, float]]:
    """What Vector says of a distribution; of an empty one, which it drops, only that it is empty."""
    samples = sorted(
        (sample["value"], sample["rate"]) for sample in distribution["samples"] if sample["rate"]
    )
    if not samples:
        yield from (("count", 0.0), ("sum", 0.0))
        return
    values = [value for value, _ in samples]
    ranks = list(accumulate(rate for _, rate in samples))
    count, total = ranks[-1], float(sum(value * rate for value, rate in samples))

    def quantile(share: float) -> float:
        """By the definition R-3: the nearest sample, the later of two."""
        return float(values[bisect_left(ranks, int(share * count + 0.5))])

    yield from (("min", values[0]), ("max", values[-1]), ("median", quantile(0.5)))
    # A mean of one value is that value; dividing could miss it by a rounding.
    yield "avg", values[0] if len(values) == 1 else total / count
    yield from (("sum", total), ("count", float(count)))
    for share in quantiles:
        yield f"quantile_{share:.2f}", quantile(share)

"""Transform `log_to_metric`: makes metrics of events.

Each event becomes one metric for each of `metrics`, all of them or none; with `all_metrics` it
becomes the metric that it spells out. A metric is an event, too, of the form that Vector's own JSON
has:

    {"name": …, "namespace": …, "tags": {…}, "timestamp": …, "kind": "incremental", "counter": {"value": 1.0}}

Its time is the event's `timestamp`, which may be text in RFC 3339 (Vector takes the time of
processing instead of a text), and the time of processing where that is no time. An event that lacks
the field of a metric is dropped, counted as discarded and as an error; one whose field is no number
where a number is wanted is rejected, and so is one that does not spell out a metric.

Metrics go through `filter`, `route` and `exclusive_route` (conditions may ask for `.name`,
`.namespace`, `.kind`, `.timestamp` and `.tags`, as in Vector), to `metric_to_log`, to
`influxdb_metrics` and `blackhole`, and to every sink that writes them with the codec `json`. To other
components they are refused, as logs are where metrics are wanted.
"""

import re
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, Literal, Self

import orjson
from pydantic import field_validator, model_validator
from typing_extensions import override

from tailrace.collect.component import METRICS, EventKind, Options
from tailrace.collect.fields import get_field, split_path
from tailrace.collect.metric_event import (
    MetricError,
    MetricKind,
    Table,
    make_metric,
    number_of,
    read_metric,
    text_of,
    time_of,
)
from tailrace.collect.template import Template, TemplateError, TemplateText
from tailrace.collect.transform import (
    Event,
    Outputs,
    Transform,
    TransformConfig,
    TransformContext,
    as_json,
)

_NO_WORD = re.compile(r"[^0-9A-Za-z_]")

Filler = Callable[[Event], str]


class MetricOptions(Options):
    """One metric."""

    type: Literal["counter", "gauge", "histogram", "set", "summary"]
    """What it is. `histogram` and `summary` make a distribution of one sample, and `set` a set of one
    value."""

    field: str
    """Path of the field that the metric is made of."""

    name: TemplateText | None = None
    """Template; what the metric is called. Unset: as `field` is."""

    namespace: TemplateText | None = None
    """Template; what stands before the name. Unset: nothing."""

    tags: dict[TemplateText, TemplateText | tuple[TemplateText | None, ...] | None] = {}
    """Templates of tags, by templates of their names. Of several values the last counts, and one that
    the event cannot fill in is left out, as is null. A name that ends in `*` takes all fields of the
    object that its value is: `label_*: "{{ labels }}"`."""

    increment_by_value: bool = False
    """Of a counter: count by the field's value, not by one."""

    kind: MetricKind = "incremental"
    """Of a counter: whether it says what is added, or the whole."""

    @field_validator("field")
    @classmethod
    def _is_path(cls, path: str) -> str:
        if "{{" in path:
            raise ValueError(f"cannot use {path!r} as a field: give its path, without braces")
        split_path(path)
        return path

    @model_validator(mode="after")
    def _of_a_counter(self) -> Self:
        given = sorted(self.model_fields_set & {"increment_by_value", "kind"})
        if given and self.type != "counter":
            raise ValueError(f"{', '.join(given)} belong to the type counter, not to {self.type}")
        return self


class LogToMetricConfig(TransformConfig):
    """Options of `log_to_metric`."""

    gives: ClassVar[frozenset[EventKind] | None] = METRICS

    metrics: tuple[MetricOptions, ...] = ()
    """The metrics that each event becomes; none with `all_metrics`."""

    all_metrics: bool = False
    """Every event spells out a metric: `name`, `kind` and a value, which is `counter`, `gauge`, `set`,
    `distribution`, `histogram` or `summary` (`aggregated_histogram` and `aggregated_summary` are the
    last two as well); `namespace` and `tags` where it has any."""

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if self.all_metrics == bool(self.metrics):
            raise ValueError('give either "metrics" or, for events that are metrics, "all_metrics"')
        return self

    @override
    def build(self, context: TransformContext) -> Transform:
        return LogToMetric(self)


class _MissingError(Exception):
    """A log lacks the field that a metric is made of; fit for counting."""


class _Maker:
    """What makes one of the metrics."""

    def __init__(self, options: MetricOptions) -> None:
        self._options = options
        self._path = split_path(options.field)
        self._missing = f"no field {options.field}"
        self._name = _filler(options.name or options.field)
        self._namespace = _filler(options.namespace) if options.namespace else None
        self._tags = [
            (_filler(name), [_filler(one) for one in _as_list(values) if one is not None])
            for name, values in options.tags.items()
        ]
        self._kind: MetricKind = "absolute" if options.type == "gauge" else options.kind

    def make(self, log: Event) -> Event:
        """Raises _MissingError, MetricError or TemplateError."""
        value = get_field(log, self._path)
        if value is None:
            raise _MissingError(self._missing)
        return make_metric(
            self._name(log),
            self._namespace(log) if self._namespace else None,
            self._filled_tags(log),
            time_of(log),
            self._kind,
            self._value(value),
        )

    def _value(self, value: Any) -> tuple[str, Table]:
        options = self._options
        match options.type:
            case "counter":
                by = number_of(value, options.field) if options.increment_by_value else 1.0
                return "counter", {"value": by}
            case "gauge":
                return "gauge", {"value": number_of(value, options.field)}
            case "set":
                return "set", {"values": [text_of(value)]}
            case statistic:
                sample = {"value": number_of(value, options.field), "rate": 1}
                return "distribution", {"samples": [sample], "statistic": statistic}

    def _filled_tags(self, log: Event) -> dict[str, str]:
        tags: dict[str, str] = {}
        for name_of, values in self._tags:
            for value_of in values:
                try:
                    name, value = name_of(log), value_of(log)
                except TemplateError:
                    continue
                if name.endswith("*"):
                    tags |= _expanded(name[:-1], value)
                else:
                    tags[name] = value
        return tags


class LogToMetric(Transform):
    """A running `log_to_metric`."""

    def __init__(self, config: LogToMetricConfig) -> None:
        makers = [_Maker(options) for options in config.metrics]
        self._make = [read_metric] if config.all_metrics else [maker.make for maker in makers]

    @override
    def run(self, events: list[Event]) -> Outputs:
        outputs = Outputs()
        for event in events:
            try:
                outputs.default += [make(event) for make in self._make]
            except _MissingError as missing:
                outputs.discarded[str(missing)] += 1
                outputs.errors += 1
            except (MetricError, TemplateError) as error:
                outputs.rejected.append((as_json(event), str(error)))
                outputs.errors += 1
        return outputs


def _filler(text: str) -> Filler:
    template = Template(text)
    if template.is_fixed:
        return lambda event: text
    return partial(template.fill, with_tables=True)


def _as_list(values: str | tuple[str | None, ...] | None) -> tuple[str | None, ...]:
    return values if isinstance(values, tuple) else (values,)


def _expanded(prefix: str, text: str) -> dict[str, str]:
    """The fields of an object as tags."""
    try:
        table = orjson.loads(text)
    except orjson.JSONDecodeError:
        table = None
    if not isinstance(table, dict):
        raise MetricError(f"cannot make tags {prefix}* of {text[:60]!r}: it is no object")
    return {
        _NO_WORD.sub("_", f"{prefix}{name}").lower(): text_of(value)
        for name, value in table.items()
        if value is not None
    }

"""Transform `metric_to_log`: makes logs of metrics.

The log has the metric's parts as its fields: `name`, `namespace`, `tags`, `timestamp`, `kind` and the
value, for instance `counter.value`. The tag that names the host becomes the field `host`.
"""

from collections.abc import Mapping
from typing import ClassVar, Literal

from typing_extensions import override

from tailrace.collect.component import LOGS, METRICS, EventKind
from tailrace.collect.timezones import TimezoneName
from tailrace.collect.transform import Event, Outputs, Transform, TransformConfig, TransformContext


class MetricToLogConfig(TransformConfig):
    """Options of `metric_to_log`."""

    takes: ClassVar[frozenset[EventKind]] = METRICS
    gives: ClassVar[frozenset[EventKind] | None] = LOGS

    not_taken: ClassVar[Mapping[str, str]] = {
        **TransformConfig.not_taken,
        "log_namespace": "events are laid out as Vector's legacy namespace has them",
    }

    host_tag: str = "host"
    """Tag whose value becomes the field `host`."""

    metric_tag_values: Literal["single"] = "single"
    """A tag is one text; `full` is refused, since a tag has one value here."""

    timezone: TimezoneName | None = None
    """Zone of times that name none, which a metric's time never does; unset: the file's own
    `timezone`."""

    @override
    def build(self, context: TransformContext) -> Transform:
        return MetricToLog(self.host_tag)


class MetricToLog(Transform):
    """A running `metric_to_log`."""

    def __init__(self, host_tag: str) -> None:
        self._host_tag = host_tag

    @override
    def run(self, events: list[Event]) -> Outputs:
        return Outputs([self._as_log(event) for event in events])

    def _as_log(self, metric: Event) -> Event:
        tags = metric.get("tags")
        if not isinstance(tags, dict) or self._host_tag not in tags:
            return metric
        log = {**metric, "host": tags[self._host_tag]}
        log["tags"] = {name: text for name, text in tags.items() if name != self._host_tag}
        if not log["tags"]:
            del log["tags"]
        return log

"""What may happen to events on their way, one verb a file."""

from tailrace.collect.transform import TransformConfig
from tailrace.collect.transforms.dedupe import DedupeConfig
from tailrace.collect.transforms.exclusive_route import ExclusiveRouteConfig
from tailrace.collect.transforms.filter import FilterConfig
from tailrace.collect.transforms.log_to_metric import LogToMetricConfig
from tailrace.collect.transforms.metric_to_log import MetricToLogConfig
from tailrace.collect.transforms.reduce import ReduceConfig
from tailrace.collect.transforms.remap import RemapConfig
from tailrace.collect.transforms.route import RouteConfig
from tailrace.collect.transforms.sample import SampleConfig
from tailrace.collect.transforms.throttle import ThrottleConfig

TRANSFORMS: dict[str, type[TransformConfig]] = {
    "dedupe": DedupeConfig,
    "exclusive_route": ExclusiveRouteConfig,
    "filter": FilterConfig,
    "log_to_metric": LogToMetricConfig,
    "metric_to_log": MetricToLogConfig,
    "reduce": ReduceConfig,
    "remap": RemapConfig,
    "route": RouteConfig,
    "sample": SampleConfig,
    "throttle": ThrottleConfig,
}
"""Each transform's options by Vector's name for it."""

"""What may happen to events on their way, one verb a file."""

from tailrace.collect.transform import TransformConfig
from tailrace.collect.transforms.exclusive_route import ExclusiveRouteConfig
from tailrace.collect.transforms.filter import FilterConfig
from tailrace.collect.transforms.remap import RemapConfig
from tailrace.collect.transforms.route import RouteConfig

TRANSFORMS: dict[str, type[TransformConfig]] = {
    "exclusive_route": ExclusiveRouteConfig,
    "filter": FilterConfig,
    "remap": RemapConfig,
    "route": RouteConfig,
}
"""Each transform's options by Vector's name for it."""

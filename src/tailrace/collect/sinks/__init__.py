"""Where events go, one destination a file, registered by Vector's names."""

from tailrace.collect.component import Component
from tailrace.collect.sink import Sink
from tailrace.collect.sinks.clickhouse import CLICKHOUSE

SINKS: dict[str, Component[Sink]] = {"clickhouse": CLICKHOUSE}

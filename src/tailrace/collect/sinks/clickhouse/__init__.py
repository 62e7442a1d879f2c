"""Sink `clickhouse`: rows by ClickHouse's HTTP interface."""

from tailrace.collect.component import Component
from tailrace.collect.sink import Sink
from tailrace.collect.sinks.clickhouse.config import ClickhouseConfig
from tailrace.collect.sinks.clickhouse.sink import ClickhouseSink

CLICKHOUSE: Component[Sink] = Component(ClickhouseConfig, ClickhouseSink)

"""Where events go, one destination a file, registered by Vector's names."""

from tailrace.collect.component import Component
from tailrace.collect.sink import Sink
from tailrace.collect.sinks.blackhole import BLACKHOLE
from tailrace.collect.sinks.clickhouse import CLICKHOUSE
from tailrace.collect.sinks.console import CONSOLE
from tailrace.collect.sinks.file import FILE
from tailrace.collect.sinks.http import HTTP
from tailrace.collect.sinks.influxdb_logs import INFLUXDB_LOGS
from tailrace.collect.sinks.influxdb_metrics import INFLUXDB_METRICS
from tailrace.collect.sinks.kafka import KAFKA

SINKS: dict[str, Component[Sink]] = {
    "blackhole": BLACKHOLE,
    "clickhouse": CLICKHOUSE,
    "console": CONSOLE,
    "file": FILE,
    "http": HTTP,
    "influxdb_logs": INFLUXDB_LOGS,
    "influxdb_metrics": INFLUXDB_METRICS,
    "kafka": KAFKA,
}

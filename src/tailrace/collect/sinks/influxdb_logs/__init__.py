"""Sink `influxdb_logs`: events as points of InfluxDB, version 1 or 2."""

from tailrace.collect.component import Component
from tailrace.collect.sink import Sink
from tailrace.collect.sinks.influxdb_logs.config import InfluxdbLogsConfig
from tailrace.collect.sinks.influxdb_logs.sink import InfluxdbLogsSink

INFLUXDB_LOGS: Component[Sink] = Component(InfluxdbLogsConfig, InfluxdbLogsSink)

__all__ = ["INFLUXDB_LOGS", "InfluxdbLogsConfig", "InfluxdbLogsSink"]

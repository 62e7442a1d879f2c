"""Sink `influxdb_metrics`: metrics as points of InfluxDB, version 1 or 2."""

from tailrace.collect.component import Component
from tailrace.collect.sink import Sink
from tailrace.collect.sinks.influxdb_metrics.config import InfluxdbMetricsConfig
from tailrace.collect.sinks.influxdb_metrics.sink import InfluxdbMetricsSink

INFLUXDB_METRICS: Component[Sink] = Component(InfluxdbMetricsConfig, InfluxdbMetricsSink)

__all__ = ["INFLUXDB_METRICS", "InfluxdbMetricsConfig", "InfluxdbMetricsSink"]

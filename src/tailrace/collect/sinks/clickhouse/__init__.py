"""Sink `clickhouse`: rows by ClickHouse's HTTP interface."""

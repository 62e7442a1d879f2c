"""Tailrace: real-time log and event analytics on ClickHouse."""

__version__ = "0.1.0"

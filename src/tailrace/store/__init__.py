"""The tables in ClickHouse and the one way to reach them."""

from tailrace.store.client import Limits, Result, Store

__all__ = ["Limits", "Result", "Store"]

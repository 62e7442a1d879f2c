"""Sink `http`: events in the bodies of HTTP requests."""

from tailrace.collect.component import Component
from tailrace.collect.sink import Sink
from tailrace.collect.sinks.http.config import HttpConfig
from tailrace.collect.sinks.http.sink import HttpSink

HTTP: Component[Sink] = Component(HttpConfig, HttpSink)

__all__ = ["HTTP", "HttpConfig", "HttpSink"]

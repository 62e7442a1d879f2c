"""Sink `file`: events in files, by path."""

from tailrace.collect.component import Component
from tailrace.collect.sink import Sink
from tailrace.collect.sinks.file.config import FileConfig
from tailrace.collect.sinks.file.sink import FileSink

FILE: Component[Sink] = Component(FileConfig, FileSink)

__all__ = ["FILE", "FileConfig", "FileSink"]

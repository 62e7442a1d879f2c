"""Source `file`; see `tailrace.collect.sources.file.source` for what it guarantees."""

from tailrace.collect.sources.file.source import FILE

__all__ = ["FILE"]

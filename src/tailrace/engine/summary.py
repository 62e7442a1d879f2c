"""What a query read and wrote, as `X-ClickHouse-Summary` and `X-ClickHouse-Progress` say it."""

import json
import time
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Summary:
    """Counts of one query; numbers only grow."""

    read_rows: int = 0
    read_bytes: int = 0
    written_rows: int = 0
    written_bytes: int = 0
    total_rows_to_read: int = 0
    result_rows: int = 0
    result_bytes: int = 0
    started: float = field(default_factory=time.perf_counter)

    def see_progress(self, progress: dict[str, Any]) -> None:
        """Take in what the engine reports while it runs."""
        self.read_rows = max(self.read_rows, progress["read_rows"])
        self.read_bytes = max(self.read_bytes, progress["read_bytes"])
        self.written_rows = max(self.written_rows, progress["written_rows"])
        self.written_bytes = max(self.written_bytes, progress["written_bytes"])
        self.total_rows_to_read = max(self.total_rows_to_read, progress["total_rows_to_read"])

    def see_result(self, result: Any) -> None:
        """Take in a finished statement's own counts."""
        self.read_rows = max(self.read_rows, result.storage_rows_read())
        self.read_bytes = max(self.read_bytes, result.storage_bytes_read())
        self.written_rows = max(self.written_rows, result.rows_written())
        self.written_bytes = max(self.written_bytes, result.bytes_written())
        self.see_block(result.rows_read(), result.size())
        if result.rows_written():
            self.result_rows, self.result_bytes = result.rows_written(), result.bytes_written()

    def see_block(self, rows: int, size: int) -> None:
        """Take in one more block of the answer."""
        self.result_rows += rows
        self.result_bytes += size

    def as_json(self) -> str:
        """The header's value; ClickHouse writes the numbers as strings."""
        elapsed_ns = int((time.perf_counter() - self.started) * 1e9)
        return json.dumps(
            {
                "read_rows": str(self.read_rows),
                "read_bytes": str(self.read_bytes),
                "written_rows": str(self.written_rows),
                "written_bytes": str(self.written_bytes),
                "total_rows_to_read": str(self.total_rows_to_read),
                "result_rows": str(self.result_rows),
                "result_bytes": str(self.result_bytes),
                "elapsed_ns": str(elapsed_ns),
            },
            separators=(",", ":"),
        )

"""Keeps what could not be stored until it is in the rejected table.

A row is in this journal, fsynced, before the batch that it comes from counts as delivered. Each
record of the journal is inserted under the token of the batch that it comes from, so a batch that
is worked on twice, because of a crash, leaves its bad rows in the table once. What a source rejects
at its door has no batch: it goes under the journal segment's own token.

Where none of the sinks is a ClickHouse, rejected rows are appended to `_rejected/<source>.jsonl` in
the buffer's folder, fsynced, each at least once, and nobody but a person takes them from there.
"""

import asyncio
import os
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import orjson

from tailrace.collect.buffer.journal import Chunk, Journal
from tailrace.collect.buffer.segment import Segment
from tailrace.collect.sink import Bytes, RejectedRow, Sink

FOLDER = "_rejected"
"""Name of the journal's folder beside those of the sources."""

MOST_KEPT_BYTES = 32 * 1024**2
"""So much is kept of what was rejected; of a longer line, the beginning."""


def encode_rejected(rows: Sequence[RejectedRow]) -> bytes:
    """Lines for the query of `deliver_rejected`; bytes go as base64, for they may be anything."""
    return b"".join(
        orjson.dumps(
            {
                "received_at_ms": row.received_at_ms,
                "component_id": row.component_id,
                "peer": row.peer,
                "reason": row.reason,
                "raw": b64encode(row.raw[:MOST_KEPT_BYTES]).decode(),
            },
            option=orjson.OPT_APPEND_NEWLINE,
        )
        for row in rows
    )


class RejectedStore:
    """The journal, and its delivery to the table."""

    def __init__(self, journal: Journal, table: str, sinks: Mapping[str, Sink]) -> None:
        self._journal = journal
        self._table = table
        self.use(sinks)

    def use(self, sinks: Mapping[str, Sink]) -> None:
        """From now on, rows go to these sinks."""
        self._sinks = sinks
        keepers = [name for name, sink in sinks.items() if sink.keeps_rejected]
        self._default_sink = keepers[0] if keepers else ""

    async def keep(
        self, rows: Sequence[RejectedRow], sink_id: str | None = None, token: str = ""
    ) -> None:
        """Returns once `rows` are on disk; they go to the ClickHouse of the sink that is named."""
        if not rows:
            return
        metadata = orjson.dumps({"sink": sink_id or self._default_sink, "token": token})
        await self._journal.append([Chunk(encode_rejected(rows), len(rows), metadata)])

    async def deliver_for_ever(self) -> None:
        """Insert what is kept, oldest first."""
        while True:
            segment = await self._journal.next_segment()
            for sink_id, token, lines in _inserts(segment):
                sink = self._sinks.get(sink_id)
                if sink is None or not sink.keeps_rejected:
                    sink = self._sinks.get(self._default_sink)
                if sink:
                    await sink.deliver_rejected(self._table, token, lines)
                else:
                    await asyncio.to_thread(_append, self._journal.folder, lines)
            await self._journal.remove(segment)

    def is_empty(self) -> bool:
        """Whether everything is in the table."""
        return self._journal.events == 0

    async def flush(self) -> None:
        """Let what is kept be inserted without waiting for more."""
        await self._journal.flush()


def _append(folder: Path, lines: Bytes) -> None:
    with folder.with_name(f"{folder.name}.jsonl").open("ab") as file:
        file.write(lines)
        file.flush()
        os.fsync(file.fileno())


def _inserts(segment: Segment) -> Iterator[tuple[str, str, Bytes]]:
    """Sink, token and lines of each insert that a segment makes."""
    loose: dict[str, list[Bytes]] = {}
    for record in segment.records():
        metadata = orjson.loads(record.metadata)
        sink_id, token = metadata["sink"], metadata["token"]
        if token:
            yield sink_id, f"{token}-rejected", record.payload
        else:
            loose.setdefault(sink_id, []).append(record.payload)
    for sink_id, payloads in loose.items():
        yield sink_id, f"{segment.token}-{sink_id}", b"".join(payloads)

"""Finds the bad rows of a batch that ClickHouse refused, and brings in all others.

The batch is tried in halves, and halves of halves, each under a token made from the batch's and the
rows' numbers, until each bad row is alone. Which spans were refused is written down as it happens:
after a crash the same spans are split again and the same ones sent, even where the table has changed
meanwhile and would take today, as a whole, what it has already taken in halves.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import orjson

from tailrace.collect.sink import Delivery, Piece, Refusals, RejectedRow, SinkBatch
from tailrace.collect.sinks.clickhouse.client import DataRefusedError

Span = tuple[int, int]
"""Numbers of the first row and of the one after the last."""

WHOLE: Span = (0, -1)
"""The batch as it came, before its rows are counted."""

InsertPieces = Callable[[Sequence[Piece], str], Awaitable[int]]
"""Inserts pieces under a token and gives the size of what was sent; raises DataRefusedError."""


@dataclass(frozen=True)
class _Row:
    line: bytes
    piece: Piece


class BatchInParts:
    """The delivery of one batch."""

    def __init__(
        self,
        batch: SinkBatch,
        component_id: str,
        insert: InsertPieces,
        refusals: Refusals,
        *,
        must_be_objects: bool,
    ) -> None:
        self._batch = batch
        self._component_id = component_id
        self._insert = insert
        self._refusals = refusals
        self._must_be_objects = must_be_objects
        self._refused: dict[Span, str] = {}
        self._rows: list[_Row] = []
        self._delivery = Delivery()

    async def deliver(self) -> Delivery:
        """Bring in what is good; the rest comes back with its reasons."""
        self._refused = await self._refusals.refused(self._batch.token)
        pieces = self._batch.pieces
        if await self._is_taken(pieces, self._batch.token, WHOLE, self._batch.rows):
            return self._delivery
        self._rows = await asyncio.to_thread(_rows, pieces)
        if self._must_be_objects:
            self._rows, bad = await asyncio.to_thread(_without_bad_json, self._rows)
            for row, reason in bad:
                self._reject(row, reason)
        everything = (0, len(self._rows))
        if not self._delivery.rejected:
            self._refused[everything] = self._refused[WHOLE]
        await self._deliver_span(everything)
        return self._delivery

    async def _deliver_span(self, span: Span) -> None:
        first, end = span
        if first == end:
            return
        rows = self._rows[first:end]
        token = f"{self._batch.token}-{first}-{end}"
        if span not in self._refused and await self._is_taken(
            _pieces(rows), token, span, len(rows)
        ):
            return
        if len(rows) == 1:
            self._reject(rows[0], self._refused[span])
            return
        middle = (first + end) // 2
        await self._deliver_span((first, middle))
        await self._deliver_span((middle, end))

    async def _is_taken(self, pieces: Sequence[Piece], token: str, span: Span, rows: int) -> bool:
        if span in self._refused:
            return False
        try:
            self._delivery.sent_bytes += await self._insert(pieces, token)
        except DataRefusedError as refused:
            self._refused[span] = str(refused)
            await self._refusals.note(self._batch.token, span, str(refused))
            return False
        self._delivery.sent_rows += rows
        return True

    def _reject(self, row: _Row, reason: str) -> None:
        piece = row.piece
        self._delivery.rejected.append(
            RejectedRow(self._component_id, piece.peer, piece.received_at_ms, reason, row.line)
        )


def _rows(pieces: Sequence[Piece]) -> list[_Row]:
    return [
        _Row(line, piece)
        for piece in pieces
        for line in bytes(piece.payload).split(b"\n")
        if line.strip()
    ]


def _without_bad_json(rows: list[_Row]) -> tuple[list[_Row], list[tuple[_Row, str]]]:
    good: list[_Row] = []
    bad: list[tuple[_Row, str]] = []
    for row in rows:
        try:
            value = orjson.loads(row.line)
        except orjson.JSONDecodeError as error:
            bad.append((row, f"not JSON: {error}"))
        else:
            if isinstance(value, dict):
                good.append(row)
            else:
                bad.append((row, "not a JSON object"))
    return good, bad


def _pieces(rows: list[_Row]) -> list[Piece]:
    """Rows as pieces again, neighbours of one piece together."""
    grouped: list[tuple[Piece, list[bytes]]] = []
    for row in rows:
        if not grouped or grouped[-1][0] is not row.piece:
            grouped.append((row.piece, []))
        grouped[-1][1].append(row.line)
    return [
        Piece(b"\n".join([*lines, b""]), len(lines), piece.received_at_ms, piece.peer)
        for piece, lines in grouped
    ]

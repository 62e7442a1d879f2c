"""How far sources have come, so that a crash at any moment repeats nothing and skips nothing.

A source that reads something which it can read again (a file) marks its frames with a position.
There is no file of checkpoints beside the buffer that could disagree with it:

1. The position is in the metadata of the record that holds the frames: one fsync for both.
2. When a segment is delivered, the positions in it go into the ledger, in the transaction that says
   that the segment is done with; only then is the segment removed.
3. At start a source stands at the latest position for each key, of the ledger's and of those in the
   segments that are still in the buffer.

So at any moment a position is on disk exactly if its frames are in the buffer or delivered: it is
in the buffer after 1, in both after 2, in the ledger after the removal. Segments may be done with in
any order, and after a crash again: the position with the highest number counts.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from tailrace.collect.buffer.segment import Segment
from tailrace.collect.ledger import Ledger
from tailrace.collect.pipeline import read_position
from tailrace.collect.source import Position


def last_positions(segment: Segment) -> list[Position]:
    """The latest position for each key in a segment; empty where its first frames have none."""
    found: dict[str, Position] = {}
    for record in segment.records():
        if not record.events:
            continue
        position = read_position(record.metadata)
        if position is None and not found:
            return []
        if position:
            found[position.key] = latest(found.get(position.key), position)
    return list(found.values())


def latest(one: Position | None, other: Position) -> Position:
    """The one that counts."""
    return one if one and one.sequence > other.sequence else other


class LedgerPositions:
    """One source's; see `tailrace.collect.source.Positions`."""

    def __init__(self, source_id: str, ledger: Ledger, found: dict[str, Position]) -> None:
        self.found: Mapping[str, Position] = found
        self._source_id = source_id
        self._ledger = ledger

    @classmethod
    async def open(
        cls, source_id: str, ledger: Ledger, waiting: Iterable[Segment]
    ) -> "LedgerPositions":
        """What the ledger and the undelivered segments say, before anything is delivered."""
        found = {position.key: position for position in await ledger.positions(source_id)}
        for segment in waiting:
            for position in await asyncio.to_thread(last_positions, segment):
                found[position.key] = latest(found.get(position.key), position)
        return cls(source_id, ledger, found)

    async def put(self, positions: Sequence[Position]) -> None:
        """Keep positions that no frames lead up to; returns once they are on disk."""
        await self._ledger.put_positions(self._source_id, positions)

    async def forget(self, keys: Sequence[str]) -> None:
        """Keep nothing of what is not there any more."""
        await self._ledger.forget_positions(self._source_id, keys)

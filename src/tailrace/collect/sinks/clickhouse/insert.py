"""The queries that bring lines into tables, and their bodies.

Lines are never decoded here. Into a table like `logs.intake` (one column for the line, and
`component_id`, `peer`, `received_at` beside it) they go as they are; where they came from goes as
parameters of the query, or, when a batch is from several peers, in front of each line, written
there by one C function for each peer's bytes and taken off again by the query.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tailrace.collect.sink import Bytes, Piece

CHUNK_BYTES = 1024**2
"""Pieces of a body that are handed to the socket at once."""

ONE_ARRIVAL_MS = 1000
"""Lines that came within this time may share a time of arrival: the first one's."""

_LINES = """INSERT INTO {table} ({column}, component_id, peer, received_at)
SELECT line, {{component_id:String}}, {{peer:String}},
    fromUnixTimestamp64Milli({{received_at_ms:Int64}}, 'UTC')
FROM input('line String') WHERE line NOT IN ('', '\\r') FORMAT LineAsString"""

# <milliseconds, 13 digits> tab <peer> tab <line>
_MARKED_LINES = """INSERT INTO {table} ({column}, component_id, peer, received_at)
SELECT substring(line, position(line, '\\t', 15) + 1), {{component_id:String}},
    substring(line, 15, position(line, '\\t', 15) - 15),
    fromUnixTimestamp64Milli(toInt64(substring(line, 1, 13)), 'UTC')
FROM input('line String')
WHERE substring(line, position(line, '\\t', 15) + 1) NOT IN ('', '\\r') FORMAT LineAsString"""

_REJECTED = """INSERT INTO {table} (received_at, component_id, peer, reason, raw)
SELECT fromUnixTimestamp64Milli(received_at_ms, 'UTC'), component_id, peer, reason,
    base64Decode(raw)
FROM input('received_at_ms Int64, component_id String, peer String, reason String, raw String')
FORMAT JSONEachRow"""


@dataclass(frozen=True)
class Insert:
    """A query, its parameters and its body."""

    query: str
    parameters: dict[str, str]
    body: Sequence[Bytes]

    @property
    def size_bytes(self) -> int:
        """Size of the body."""
        return sum(map(len, self.body))

    def chunks(self) -> Iterator[Bytes]:
        """The body in parts that are worth a system call each; large ones are not copied."""
        small: list[Bytes] = []
        small_bytes = 0
        for part in self.body:
            if len(part) >= CHUNK_BYTES // 4:
                if small:
                    yield b"".join(small)
                    small, small_bytes = [], 0
                view = memoryview(part)
                for start in range(0, len(view), CHUNK_BYTES):
                    yield view[start : start + CHUNK_BYTES]
            else:
                small.append(part)
                small_bytes += len(part)
                if small_bytes >= CHUNK_BYTES:
                    yield b"".join(small)
                    small, small_bytes = [], 0
        if small:
            yield b"".join(small)


def quote(name: str) -> str:
    """An identifier in backticks."""
    escaped = name.replace("\\", "\\\\").replace("`", "\\`")
    return f"`{escaped}`"


def quote_table(database: str, table: str) -> str:
    """Both names in backticks."""
    return f"{quote(database)}.{quote(table)}"


def insert_lines(table: str, column: str, component_id: str, pieces: Sequence[Piece]) -> Insert:
    """Lines into a table that keeps where they came from; `table` is quoted."""
    peers = {piece.peer for piece in pieces}
    first = min(piece.received_at_ms for piece in pieces)
    last = max(piece.received_at_ms for piece in pieces)
    if len(peers) == 1 and last - first <= ONE_ARRIVAL_MS:
        return Insert(
            _LINES.format(table=table, column=quote(column)),
            {
                "component_id": component_id,
                "peer": peers.pop(),
                "received_at_ms": str(first),
            },
            [piece.payload for piece in pieces],
        )
    return Insert(
        _MARKED_LINES.format(table=table, column=quote(column)),
        {"component_id": component_id},
        [_mark(piece) for piece in pieces],
    )


def insert_json(table: str, pieces: Sequence[Piece], format_name: str) -> Insert:
    """Lines that ClickHouse itself takes apart."""
    query = f"INSERT INTO {table} FORMAT {format_name}"
    return Insert(query, {}, [piece.payload for piece in pieces])


def insert_rejected(table: str, lines: Bytes) -> Insert:
    """Lines of `tailrace.collect.rejected` into the table that keeps them."""
    database, _, name = table.rpartition(".")
    return Insert(_REJECTED.format(table=quote_table(database or "default", name)), {}, [lines])


def _mark(piece: Piece) -> bytes:
    # A tab cannot be in an address; anything else that could end the mark is not ours.
    peer = piece.peer.replace("\t", " ").replace("\n", " ")
    mark = f"{piece.received_at_ms:013d}\t{peer}\t".encode()
    marked = bytes(piece.payload).replace(b"\n", b"\n" + mark)
    return mark + marked[: -len(mark)]

"""What came of a segment, on disk: written before anything of it is delivered.

One file a segment, `<version, 16 digits>.outcome`; versions count up by one over all segments:

    outcome   magic "TROUTC01" · crc32 of all that follows u32 · header_bytes u32 · header
              · the sinks' bodies, one after the other · state

Numbers are little-endian; the header is JSON: the segment's token and file, the sinks' ids with the
size of each body, rows, counts, what was rejected, and which transforms the state is of. The state
is what they remember after this segment, pickled: it is of lists, dictionaries, texts, numbers.

Invariants:
- A file is complete, or not there: it is written under another name, fsynced and renamed.
- The newest file holds the state. It stays when its segment is gone; all others then go.
"""

import os
import pickle
import struct
import zlib
from base64 import b64decode, b64encode
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from tailrace.collect.pipeline import Processed
from tailrace.collect.sink import RejectedRow

SUFFIX = ".outcome"
_MAGIC = b"TROUTC01"
_FIELDS = struct.Struct("<II")


@dataclass(frozen=True)
class Outcome:
    """One file's content."""

    token: str
    segment_path: str
    processed: Processed
    held: dict[str, int]
    """Events that each transform holds back after this segment."""
    types: dict[str, str]
    """Kind of each transform that the state is of."""
    state: dict[str, Any]


def path_of(folder: Path, version: int) -> Path:
    """The file of a version."""
    return folder / f"{version:016d}{SUFFIX}"


def write(folder: Path, version: int, outcome: Outcome) -> None:
    """Return once the outcome is on the disk."""
    processed = outcome.processed
    header = orjson.dumps(
        {
            "token": outcome.token,
            "segment": outcome.segment_path,
            "bodies": [(name, len(body)) for name, body in processed.bodies.items()],
            "rows": processed.rows,
            "counts": [(*key, value) for key, value in processed.counts.items()],
            "rejected": [_pack_rejected(row) for row in processed.rejected],
            "held": outcome.held,
            "types": outcome.types,
        }
    )
    parts = [header, *processed.bodies.values(), pickle.dumps(outcome.state)]
    size = struct.pack("<I", len(header))
    checksum = zlib.crc32(size)
    for part in parts:
        checksum = zlib.crc32(part, checksum)
    target = path_of(folder, version)
    temporary = target.with_suffix(".new")
    with temporary.open("wb") as file:
        file.writelines([_MAGIC, struct.pack("<I", checksum), size, *parts])
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(target)
    sync_folder(folder)


def read(path: Path) -> Outcome:
    """A file's content; raises ValueError where it is damaged."""
    data = path.read_bytes()
    start = len(_MAGIC) + _FIELDS.size
    if data[: len(_MAGIC)] != _MAGIC or len(data) < start:
        raise ValueError(f"cannot read {path}: it is not an outcome")
    checksum, header_bytes = _FIELDS.unpack_from(data, len(_MAGIC))
    if zlib.crc32(data[len(_MAGIC) + 4 :]) != checksum:
        raise ValueError(f"cannot read {path}: its checksum is wrong")
    header = orjson.loads(data[start : start + header_bytes])
    offset = start + header_bytes
    processed = Processed(
        rows=Counter(header["rows"]),
        rejected=[_unpack_rejected(row) for row in header["rejected"]],
        counts=Counter({(*key,): value for *key, value in header["counts"]}),
        held=sum(header["held"].values()),
    )
    for name, size in header["bodies"]:
        processed.bodies[name] = data[offset : offset + size]
        offset += size
    # Written by this program into its own folder, and the checksum is right.
    state = pickle.loads(data[offset:])  # noqa: S301
    return Outcome(
        header["token"], header["segment"], processed, header["held"], header["types"], state
    )


def sync_folder(folder: Path) -> None:
    """Return once the folder's names are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _pack_rejected(row: RejectedRow) -> list[Any]:
    raw = b64encode(row.raw).decode()
    return [row.component_id, row.peer, row.received_at_ms, row.reason, raw]


def _unpack_rejected(packed: list[Any]) -> RejectedRow:
    component_id, peer, received_at_ms, reason, raw = packed
    return RejectedRow(component_id, peer, received_at_ms, reason, b64decode(raw))

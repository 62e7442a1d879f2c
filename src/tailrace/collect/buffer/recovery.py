"""Makes sense of what an earlier process left in a buffer's folder.

Every segment that is found becomes a finished one: a torn tail is cut, damage is copied to
`<name>.damaged` beside it and counted, and the sound records before and after it are delivered. The
result is fsynced before anybody sends it. A file that holds no sound record is removed, its damage
kept.
"""

from dataclasses import dataclass
from pathlib import Path

from tailrace.collect.buffer.disk import Disk
from tailrace.collect.buffer.format import (
    SEGMENT_HEADER_BYTES,
    Damage,
    Record,
    TornTail,
    unpack_segment_header,
)
from tailrace.collect.buffer.segment import SUFFIX, Segment, scan_file


@dataclass(frozen=True)
class Recovered:
    """What was found."""

    segments: tuple[Segment, ...]
    next_sequence: int
    damaged_files: tuple[Path, ...]
    """Copies of what could not be read."""
    torn_bytes: int
    """Size of unfinished records that were cut; nobody was told that they were safe."""


def recover(folder: Path, disk: Disk) -> Recovered:
    """Repair a folder; blocks. Running it again, or after a crash in its middle, does no harm."""
    segments: list[Segment] = []
    damaged: list[Path] = []
    torn_bytes = 0
    # Past those of damaged segments too, so that no copy of damage is ever overwritten.
    last_sequence = max((int(path.stem) for path in folder.glob("*.damaged")), default=0)
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        last_sequence = max(last_sequence, int(path.stem))
        damage, torn_at = _repair(path, disk)
        torn_bytes += torn_at
        if damage:
            damaged.append(damage)
        segment = _load(path)
        if segment:
            segments.append(segment)
        else:
            disk.remove(path)
    return Recovered(tuple(segments), last_sequence + 1, tuple(damaged), torn_bytes)


def set_damage_aside(path: Path) -> Path | None:
    """Copy what cannot be read of a finished segment; the copy's path, or None where all is well."""
    damage = [found for found in scan_file(path) if isinstance(found, Damage)]
    return _copy_aside(path, damage) if damage else None


def _repair(path: Path, disk: Disk) -> tuple[Path | None, int]:
    """Cut a torn tail and copy damage aside; the copy's path and how many bytes were cut."""
    size = path.stat().st_size
    damage: list[Damage] = []
    end = size
    for found in scan_file(path):
        if isinstance(found, Damage):
            damage.append(found)
        elif isinstance(found, TornTail):
            end = found.start
    aside = _copy_aside(path, damage) if damage else None
    if size:
        disk.cut(path, end)
    return aside, size - end


def _copy_aside(path: Path, damage: list[Damage]) -> Path | None:
    """The copy's path, or None where an earlier start has made it: damage is told once."""
    aside = path.with_suffix(".damaged")
    data = path.read_bytes()
    known = aside.read_bytes() if aside.exists() else b""
    parts = [data[part.start : part.end] for part in damage]
    # Damage at the end may look torn to the next start, and be cut: what is kept of it stays.
    new = [part for part in parts if part not in known]
    if not new:
        return None
    aside.write_bytes(known + b"".join(new))
    return aside


def _load(path: Path) -> Segment | None:
    with path.open("rb") as file:
        header = unpack_segment_header(file.read(SEGMENT_HEADER_BYTES))
    records = [found for found in scan_file(path) if isinstance(found, Record)]
    if header is None or not records:
        return None
    return Segment(
        path,
        header.identity.hex(),
        header.sequence,
        path.stat().st_size,
        sum(record.events for record in records),
        records[0].received_at_ms,
    )

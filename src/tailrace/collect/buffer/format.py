"""The bytes of a buffer segment.

A source's folder holds segments, `<sequence, 16 digits>.segment`. A segment is a header and records:

    segment   magic "TRSEGM01" · identity 16 bytes, random · sequence u64 · created_at_ms u64
              · crc32 of all that u32
    record    magic AB "REC" · metadata_bytes u32 · payload_bytes u32 · events u32
              · received_at_ms u64 · crc32 of metadata and payload u32
              · crc32 of this header u32 · metadata · payload

All numbers are little-endian. A record's payload is whole frames; metadata is JSON that says where
they came from.

Invariants:
- A record is written once and never changed. A segment grows at its end only, and only as long as
  the process that made it keeps it open; whatever is found at start is finished.
- A record whose append has returned was fsynced, together with its segment's name in the folder.
- Both checksums start from the segment's identity, so neither a stale disk block nor a payload that
  contains the bytes of a record can pass for one.
- What cannot be read is cut (an unfinished record at the end: it was never acknowledged) or handed
  out as damage (anything else), and reading goes on at the next record whose header is sound.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

SEGMENT_MAGIC = b"TRSEGM01"
RECORD_MAGIC = b"\xabREC"
_SEGMENT_FIELDS = struct.Struct("<8s16sQQ")
_RECORD_FIELDS = struct.Struct("<4sIIIQI")
_CHECKSUM = struct.Struct("<I")
SEGMENT_HEADER_BYTES = _SEGMENT_FIELDS.size + _CHECKSUM.size
RECORD_HEADER_BYTES = _RECORD_FIELDS.size + _CHECKSUM.size


@dataclass(frozen=True)
class SegmentHeader:
    """Which segment a file is."""

    identity: bytes
    sequence: int
    created_at_ms: int

    def pack(self) -> bytes:
        """The header's bytes."""
        fields = _SEGMENT_FIELDS.pack(
            SEGMENT_MAGIC, self.identity, self.sequence, self.created_at_ms
        )
        return fields + _CHECKSUM.pack(zlib.crc32(fields))

    @property
    def checksum_start(self) -> int:
        """Where the checksums of this segment's records start from."""
        return zlib.crc32(self.identity)


@dataclass(frozen=True, slots=True)
class Record:
    """One record; `payload` is a view of the segment, valid as long as somebody holds it."""

    payload: memoryview
    metadata: bytes
    events: int
    received_at_ms: int


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes from `start` to `end` of a segment that are not a sound record."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class TornTail:
    """From `start` on a segment ends in an unfinished record."""

    start: int


def unpack_segment_header(data: memoryview | bytes) -> SegmentHeader | None:
    """The header at the beginning of `data`, or None where there is no sound one."""
    if len(data) < SEGMENT_HEADER_BYTES:
        return None
    fields = bytes(data[: _SEGMENT_FIELDS.size])
    magic, identity, sequence, created_at_ms = _SEGMENT_FIELDS.unpack(fields)
    (checksum,) = _CHECKSUM.unpack_from(data, _SEGMENT_FIELDS.size)
    if magic != SEGMENT_MAGIC or checksum != zlib.crc32(fields):
        return None
    return SegmentHeader(identity, sequence, created_at_ms)


def pack_record(
    payloads: list[bytes], metadata: bytes, events: int, received_at_ms: int, checksum_start: int
) -> list[bytes]:
    """A record as the list of byte strings to write, none of them copied."""
    checksum = zlib.crc32(metadata, checksum_start)
    size = 0
    for payload in payloads:
        checksum = zlib.crc32(payload, checksum)
        size += len(payload)
    fields = _RECORD_FIELDS.pack(
        RECORD_MAGIC, len(metadata), size, events, received_at_ms, checksum
    )
    return [fields + _CHECKSUM.pack(zlib.crc32(fields, checksum_start)), metadata, *payloads]


def scan(
    data: memoryview, checksum_start: int, *, verify: bool = True
) -> Iterator[Record | Damage | TornTail]:
    """What a segment holds after its header, in order.

    `verify=False` believes the payloads' checksums: for what this process wrote moments ago.
    """
    offset, size = SEGMENT_HEADER_BYTES, len(data)
    while offset < size:
        fields = _sound_header(data, offset, checksum_start)
        if fields is None:
            following = _next_sound_header(data, offset + 1, checksum_start)
            if following is None and _is_torn(data, offset):
                yield TornTail(offset)
                return
            yield Damage(offset, size if following is None else following)
            offset = size if following is None else following
            continue
        metadata_bytes, payload_bytes, events, received_at_ms, checksum = fields
        body = offset + RECORD_HEADER_BYTES
        end = body + metadata_bytes + payload_bytes
        if end > size:
            yield TornTail(offset)
            return
        if verify and zlib.crc32(data[body:end], checksum_start) != checksum:
            yield Damage(offset, end)
        else:
            payload = data[body + metadata_bytes : end]
            yield Record(payload, bytes(data[body : body + metadata_bytes]), events, received_at_ms)
        offset = end


def _sound_header(
    data: memoryview, offset: int, checksum_start: int
) -> tuple[int, int, int, int, int] | None:
    if len(data) - offset < RECORD_HEADER_BYTES:
        return None
    fields = data[offset : offset + _RECORD_FIELDS.size]
    (checksum,) = _CHECKSUM.unpack_from(data, offset + _RECORD_FIELDS.size)
    if checksum != zlib.crc32(fields, checksum_start):
        return None
    magic, *numbers = _RECORD_FIELDS.unpack(fields)
    if magic != RECORD_MAGIC:
        return None
    metadata_bytes, payload_bytes, events, received_at_ms, body_checksum = numbers
    return metadata_bytes, payload_bytes, events, received_at_ms, body_checksum


def _next_sound_header(data: memoryview, start: int, checksum_start: int) -> int | None:
    """Place of the next record; looks at every place where its magic stands."""
    rest = bytes(data[start:])
    found = rest.find(RECORD_MAGIC)
    while found >= 0:
        if _sound_header(data, start + found, checksum_start) is not None:
            return start + found
        found = rest.find(RECORD_MAGIC, found + 1)
    return None


def _is_torn(data: memoryview, offset: int) -> bool:
    """Whether what begins at `offset` and leads nowhere is a write that was cut short.

    It is when it is shorter than a header, or nothing but the zeros that a file system leaves where
    a file was made longer and its bytes never came.
    """
    return len(data) - offset < RECORD_HEADER_BYTES or not any(data[offset:])

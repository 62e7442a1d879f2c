"""The journal against a model: whatever happens in whatever order, what was acknowledged comes out
once, and nothing comes out that was not put in."""

import asyncio
import os
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace.clock import SystemClock
from tailrace.collect.buffer.format import (
    SEGMENT_HEADER_BYTES,
    Damage,
    Record,
    pack_record,
    unpack_segment_header,
)
from tailrace.collect.buffer.journal import Chunk, Journal, JournalLimits
from tailrace.collect.buffer.segment import scan_file
from tests.unit.collect.support import quiet_log

LIMITS = JournalLimits(segment_max_bytes=300, segment_timeout_secs=3600, fsync_max_wait_ms=0)
LOG = quiet_log()

append = st.tuples(
    st.just("append"),
    st.lists(st.tuples(st.binary(max_size=60), st.integers(0, 3)), min_size=1, max_size=5),
)
offer = st.tuples(
    st.just("offer"),
    # how much room there is, and what is offered
    st.tuples(st.integers(0, 400), st.lists(st.binary(max_size=60), min_size=1, max_size=5)),
)
crash = st.tuples(
    st.just("crash"),
    # how much of an unfinished record is on disk, and what follows it
    st.tuples(st.integers(0, 200), st.sampled_from([b"", b"\0" * 50])),
)
corrupt = st.tuples(st.just("corrupt"), st.tuples(st.integers(0), st.integers(1, 255)))
simple = st.sampled_from(["deliver", "deliver and crash", "flush", "close"]).map(
    lambda name: (name, None)
)
operations = st.lists(st.one_of(append, append, offer, crash, corrupt, simple), max_size=15)


@dataclass
class Model:
    """What was put in, and what has come out."""

    folder: Path
    journal: Journal
    acknowledged: set[bytes] = field(default_factory=set)
    maybe: set[bytes] = field(default_factory=set)
    """Lines that may come out or not: never acknowledged, or damaged on the disk."""
    delivered: dict[str, list[bytes]] = field(default_factory=dict)
    """Lines by token; a second delivery under a token is not counted, as in ClickHouse."""
    count: int = 0

    def line(self, content: bytes) -> bytes:
        self.count += 1
        return b"%d %s\n" % (self.count, content.replace(b"\n", b""))


async def reopen(folder: Path) -> Journal:
    return await Journal.open(folder, LIMITS, SystemClock(), LOG)


async def abandon(journal: Journal) -> None:
    """What kill -9 does: nothing is finished, nothing is written any more."""
    assert journal._task
    journal._task.cancel()
    await asyncio.gather(journal._task, return_exceptions=True)
    journal._thread.shutdown()
    if journal._writer:
        os.close(journal._writer.descriptor)


async def do_append(model: Model, chunks: list[tuple[bytes, int]]) -> None:
    made = [
        Chunk(model.line(content), 1, b'{"peer":"%d"}' % peer if peer else b"")
        for content, peer in chunks
    ]
    await model.journal.append(made)
    model.acknowledged |= {chunk.payload for chunk in made}


async def do_offer(model: Model, offered: tuple[int, list[bytes]]) -> None:
    """What has no room comes back and never out; what is kept is acknowledged."""
    room_bytes, contents = offered
    made = [Chunk(model.line(content), 1, b"") for content in contents]
    model.journal.limits = replace(LIMITS, max_bytes=model.journal.size_bytes + room_bytes)
    left = await model.journal.offer(made)
    model.journal.limits = LIMITS
    assert made[len(made) - len(left) :] == left, "what comes later is not kept before it"
    assert bool(left) == (sum(len(one.payload) for one in made[:-1]) >= room_bytes)
    model.acknowledged |= {chunk.payload for chunk in made} - {chunk.payload for chunk in left}


async def do_crash(model: Model, torn: tuple[int, bytes]) -> None:
    size, rest = torn
    writer = model.journal._writer
    await abandon(model.journal)
    if writer:
        line = model.line(b"torn")
        model.maybe.add(line)
        record = b"".join(pack_record([line], b"{}", 1, 5, writer.header.checksum_start))
        with writer.path.open("ab") as file:
            file.write(record[:size] + (rest if size < len(record) else b""))
    model.journal = await reopen(model.folder)


async def do_corrupt(model: Model, where: tuple[int, int]) -> None:
    """Flip bits in a byte somewhere; the record that it is in may be lost, and no other."""
    position, flip = where
    await abandon(model.journal)
    found = files(model.folder, ".segment")
    if found:
        path = found[position % len(found)]
        data = bytearray(path.read_bytes())
        at = position % len(data)
        model.maybe |= lines_at(path, at)
        data[at] ^= flip
        path.write_bytes(data)
    model.journal = await reopen(model.folder)


def split(record: Record) -> list[bytes]:
    return [line + b"\n" for line in bytes(record.payload).split(b"\n")[:-1]]


def files(folder: Path, suffix: str) -> list[Path]:
    return sorted(folder.glob(f"*{suffix}"))


def lines_at(path: Path, at: int) -> set[bytes]:
    """The lines of the record that byte `at` belongs to; of all, where it is in the header."""
    lost: set[bytes] = set()
    offset = SEGMENT_HEADER_BYTES
    header = unpack_segment_header(path.read_bytes())
    assert header
    for found in scan_file(path):
        if isinstance(found, Damage):
            offset = found.end
            continue
        assert isinstance(found, Record)
        size = len(
            b"".join(
                pack_record(
                    [bytes(found.payload)],
                    found.metadata,
                    found.events,
                    found.received_at_ms,
                    header.checksum_start,
                )
            )
        )
        if at < SEGMENT_HEADER_BYTES or offset <= at < offset + size:
            lost |= set(split(found))
        offset += size
    return lost


async def do_deliver(model: Model, *, remove: bool) -> None:
    while model.journal._finished:
        segment = await model.journal.next_segment()
        lines = [line for record in segment.records() for line in split(record)]
        assert segment.events == len(lines)
        model.delivered.setdefault(segment.token, lines)
        if remove:
            await model.journal.remove(segment)


async def run(steps: list[tuple[str, object]], folder: Path) -> None:
    model = Model(folder, await reopen(folder))
    for name, detail in steps:
        match name:
            case "append":
                await do_append(model, detail)  # type: ignore[arg-type]
            case "offer":
                await do_offer(model, detail)  # type: ignore[arg-type]
            case "crash":
                await do_crash(model, detail)  # type: ignore[arg-type]
            case "corrupt":
                await do_corrupt(model, detail)  # type: ignore[arg-type]
            case "deliver":
                await do_deliver(model, remove=True)
            case "deliver and crash":
                await do_deliver(model, remove=False)
                await do_crash(model, (0, b""))
            case "flush":
                await model.journal.flush()
            case "close":
                await model.journal.close()
                model.journal = await reopen(folder)
            case _:
                raise AssertionError(name)
    await model.journal.flush()
    await do_deliver(model, remove=True)
    await asyncio.wait_for(model.journal.until_empty(), 60)
    assert (model.journal.size_bytes, model.journal.events) == (0, 0)
    await model.journal.close()
    check(model)


def check(model: Model) -> None:
    out = [line for lines in model.delivered.values() for line in lines]
    assert len(out) == len(set(out)), "something came out twice"
    assert model.acknowledged - model.maybe <= set(out), "something acknowledged was lost"
    assert set(out) <= model.acknowledged | model.maybe, "something was invented"


@settings(max_examples=150, deadline=None)
@given(operations)
def test_what_was_acknowledged_comes_out_once_and_nothing_else(
    steps: list[tuple[str, object]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(steps, Path(folder) / "journal"))


async def test_damage_is_kept_aside_and_its_neighbours_come_out(tmp_path: Path) -> None:
    model = Model(tmp_path, await reopen(tmp_path))
    for peer in (1, 2, 3):
        await do_append(model, [(b"x" * 20, peer)])
    (path,) = files(tmp_path, ".segment")
    records = [found for found in scan_file(path) if isinstance(found, Record)]
    second = bytes(records[1].payload)
    del records
    await do_corrupt(model, (path.read_bytes().index(second) + 3, 0xFF))
    assert model.journal.damaged_records == 1
    await do_crash(model, (0, b""))
    assert model.journal.damaged_records == 0, "told once"
    (aside,) = files(tmp_path, ".damaged")
    assert second[5:] in aside.read_bytes()
    await do_deliver(model, remove=True)
    await model.journal.close()
    out = [line for lines in model.delivered.values() for line in lines]
    assert out == [b"1 " + b"x" * 20 + b"\n", b"3 " + b"x" * 20 + b"\n"]


async def test_a_payload_that_looks_like_a_record_is_not_taken_for_one(tmp_path: Path) -> None:
    """Behind a damaged header, reading looks for the next record: a peer could have sent one."""
    forged = b"".join(pack_record([b"forged\n"], b"{}", 1, 5, 0))
    journal = await reopen(tmp_path)
    await journal.append([Chunk(forged + b"\n", 1, b"")])
    await journal.close()
    (path,) = files(tmp_path, ".segment")
    data = bytearray(path.read_bytes())
    data[SEGMENT_HEADER_BYTES] ^= 0xFF
    path.write_bytes(data)
    assert [type(found) for found in scan_file(path)] == [Damage]

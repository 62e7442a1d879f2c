"""Group commit, limits, full buffers and full disks."""

import asyncio
import errno
from collections.abc import Sequence
from pathlib import Path

import pytest
from typing_extensions import override

from tailrace.clock import SystemClock
from tailrace.collect.buffer import journal as journal_module
from tailrace.collect.buffer.disk import Disk
from tailrace.collect.buffer.journal import Chunk, Journal, JournalLimits
from tailrace.collect.buffer.lock import lock_folder
from tailrace.errors import TailraceError
from tests.unit.collect.support import quiet_log, until


class WatchedDisk(Disk):
    """Counts fsyncs, and fails as long as it is told to."""

    def __init__(self) -> None:
        self.syncs = 0
        self.write_error: OSError | None = None
        self.sync_error: OSError | None = None

    @override
    def write(self, descriptor: int, buffers: Sequence[bytes]) -> None:
        if self.write_error:
            super().write(descriptor, [b"".join(buffers)[:10]])
            raise self.write_error
        super().write(descriptor, buffers)

    @override
    def sync(self, descriptor: int) -> None:
        if self.sync_error:
            raise self.sync_error
        self.syncs += 1
        super().sync(descriptor)


def chunk(text: str = "x", peer: str = "") -> Chunk:
    return Chunk(f"{text}\n".encode(), 1, peer.encode())


async def open_journal(folder: Path, disk: Disk | None = None, **limits: float) -> Journal:
    defaults = {"segment_timeout_secs": 3600.0, "fsync_max_wait_ms": 0.0}
    return await Journal.open(
        folder,
        JournalLimits(**{**defaults, **limits}),  # type: ignore[arg-type]
        SystemClock(),
        quiet_log(),
        disk,
    )


async def read(journal: Journal) -> list[bytes]:
    segment = await journal.next_segment()
    lines = [bytes(record.payload) for record in segment.records()]
    await journal.remove(segment)
    return lines


async def test_appends_that_wait_together_share_an_fsync(tmp_path: Path) -> None:
    disk = WatchedDisk()
    journal = await open_journal(tmp_path, disk, fsync_max_wait_ms=50)
    await asyncio.gather(*(journal.append([chunk(str(n))]) for n in range(500)))
    assert disk.syncs == 1
    await journal.close()


async def test_an_append_comes_back_only_after_its_fsync(tmp_path: Path) -> None:
    order: list[str] = []

    class OrderedDisk(Disk):
        @override
        def sync(self, descriptor: int) -> None:
            super().sync(descriptor)
            order.append("synced")

    journal = await open_journal(tmp_path, OrderedDisk())
    await journal.append([chunk()])
    order.append("acknowledged")
    await journal.close()
    assert order == ["synced", "acknowledged"]


async def test_neighbours_from_one_place_share_a_record(tmp_path: Path) -> None:
    journal = await open_journal(tmp_path)
    await journal.append([chunk("1", "a"), chunk("2", "a"), chunk("3", "b"), chunk("4", "a")])
    await journal.flush()
    assert await read(journal) == [b"1\n2\n", b"3\n", b"4\n"]
    await journal.close()


async def test_a_segment_ends_when_it_is_full(tmp_path: Path) -> None:
    journal = await open_journal(tmp_path, segment_max_bytes=200)
    for number in range(5):
        await journal.append([chunk(str(number) * 60)])
    assert await read(journal) == [b"0" * 60 + b"\n", b"1" * 60 + b"\n"]
    await journal.close()


async def test_a_segment_ends_when_it_has_enough_events(tmp_path: Path) -> None:
    journal = await open_journal(tmp_path, segment_max_events=2)
    for number in range(3):
        await journal.append([chunk(str(number))])
    assert await read(journal) == [b"0\n", b"1\n"]
    await journal.close()


async def test_a_segment_ends_when_it_is_old(tmp_path: Path) -> None:
    journal = await open_journal(tmp_path, segment_timeout_secs=0.01)
    await journal.append([chunk("alone")])
    assert await asyncio.wait_for(read(journal), 60) == [b"alone\n"]
    await asyncio.wait_for(journal.until_empty(), 60)
    await journal.close()


async def test_what_was_not_delivered_comes_out_after_the_next_start_first(tmp_path: Path) -> None:
    journal = await open_journal(tmp_path)
    await journal.append([chunk("old")])
    await journal.flush()
    first = await journal.next_segment()
    await journal.close()
    journal = await open_journal(tmp_path)
    await journal.append([chunk("new")])
    await journal.flush()
    again = await journal.next_segment()
    assert again.token == first.token
    assert await read(journal) == [b"new\n"]
    await journal.close()


async def test_a_full_buffer_makes_appends_wait_until_something_is_delivered(
    tmp_path: Path,
) -> None:
    journal = await open_journal(tmp_path, max_bytes=100, segment_max_bytes=60)
    await journal.append([chunk("x" * 60)])
    assert journal.is_full()
    waiting = asyncio.create_task(journal.append([chunk("late")]))
    await asyncio.sleep(0)
    assert not waiting.done()
    assert await read(journal) == [b"x" * 60 + b"\n"]
    await asyncio.wait_for(waiting, 60)
    await journal.flush()
    assert await read(journal) == [b"late\n"]
    await journal.close()


async def test_an_offer_to_a_full_buffer_comes_back_with_what_has_no_place(tmp_path: Path) -> None:
    journal = await open_journal(tmp_path, max_bytes=100, segment_max_bytes=60)
    chunks = [chunk("x" * 60), chunk("y" * 60), chunk("late")]
    assert await journal.offer(chunks) == [chunks[2]]
    assert await journal.offer([chunk("later")]) == [chunk("later")]
    await journal.flush()
    assert await read(journal) == [b"x" * 60 + b"\n"]
    assert await read(journal) == [b"y" * 60 + b"\n"]
    assert await journal.offer([chunk("again")]) == []
    await journal.close()


async def test_events_count_as_waiting_until_their_batch_is_taken(tmp_path: Path) -> None:
    journal = await open_journal(tmp_path, max_waiting_events=3)
    # What is in the making is not in its way: nobody could take it yet.
    assert await journal.offer([chunk(str(n)) for n in range(5)]) == []
    assert not journal.is_full()
    await journal.flush()
    assert journal.is_full()
    waiting = asyncio.create_task(journal.append([chunk("late")]))
    await asyncio.sleep(0)
    assert not waiting.done()
    segment = await journal.next_segment()
    await asyncio.wait_for(waiting, 60)
    await journal.remove(segment)
    await journal.flush()
    await journal.next_segment()
    # Somebody waits for the next batch, so it has its turn as soon as it is there.
    taking = asyncio.create_task(journal.next_segment())
    assert await journal.offer([chunk(str(n)) for n in range(5)]) == []
    assert not journal.is_full()
    await journal.flush()
    assert not journal.is_full()
    await asyncio.wait_for(taking, 60)
    await journal.close()


async def test_an_offer_waits_while_the_disk_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "DISK_RETRY_SECS", 0.01)
    disk = WatchedDisk()
    journal = await open_journal(tmp_path, disk)
    disk.write_error = OSError(errno.ENOSPC, "No space left on device")
    first = asyncio.create_task(journal.offer([chunk("first")]))
    await until(journal.is_stuck)
    second = asyncio.create_task(journal.offer([chunk("second")]))
    await asyncio.sleep(0)
    assert not first.done()
    assert not second.done()
    disk.write_error = None
    assert await asyncio.wait_for(first, 60) == []
    assert await asyncio.wait_for(second, 60) == []
    await journal.close()


@pytest.mark.parametrize(
    ("failing", "error"),
    [
        ("write_error", OSError(errno.ENOSPC, "No space left on device")),
        ("sync_error", OSError(errno.EIO, "Input/output error")),
    ],
)
async def test_a_disk_that_fails_stops_appends_until_it_works_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str, error: OSError
) -> None:
    monkeypatch.setattr(journal_module, "DISK_RETRY_SECS", 0.01)
    disk = WatchedDisk()
    journal = await open_journal(tmp_path, disk)
    await journal.append([chunk("before")])
    setattr(disk, failing, error)
    waiting = asyncio.create_task(journal.append([chunk("during")]))
    await until(journal.is_full)
    assert not waiting.done()
    setattr(disk, failing, None)
    await asyncio.wait_for(waiting, 60)
    await journal.flush()
    assert await read(journal) == [b"before\n"]
    assert await read(journal) == [b"during\n"]
    assert not journal.is_full()
    await journal.close()
    # What the failed write left behind is gone: nothing comes out at the next start.
    journal = await open_journal(tmp_path)
    assert journal.events == 0
    await journal.close()


async def test_a_second_collector_is_refused_the_folder(tmp_path: Path) -> None:
    with lock_folder(tmp_path, "in"), pytest.raises(TailraceError, match="another collector"):
        with lock_folder(tmp_path, "in"):
            pass
    with lock_folder(tmp_path, "in"):
        pass


async def test_what_comes_while_all_are_busy_makes_one_batch(tmp_path: Path) -> None:
    journal = await open_journal(tmp_path, segment_timeout_secs=0.01, segment_max_events=10)
    busy_with = asyncio.create_task(journal.next_segment())
    await journal.append([chunk("first")])
    assert [bytes(record.payload) for record in (await busy_with).records()] == [b"first\n"]
    for number in range(9):
        await journal.append([chunk(f"line{number}")])
        await asyncio.sleep(0.02)  # longer than a segment gets when somebody waits for it
    assert [segment.events for segment in journal.waiting_segments] == []
    assert await read(journal) == [f"line{number}\n".encode() for number in range(9)]
    for number in range(12):
        await journal.append([chunk(f"line{number}")])
    await until(lambda: [segment.events for segment in journal.waiting_segments] == [10])
    await journal.close()


async def test_a_limit_of_waiting_events_finishes_segments_nobody_waits_for(tmp_path: Path) -> None:
    journal = await open_journal(tmp_path, segment_timeout_secs=0.01, max_waiting_events=2)
    await journal.append([chunk()])
    await until(lambda: len(journal.waiting_segments) == 1)
    await journal.append([chunk()])
    await until(lambda: len(journal.waiting_segments) == 2)
    assert journal.is_full()
    await journal.close()

"""Batches of a name: for sources that bring again what was not delivered."""

import asyncio
from pathlib import Path

from tailrace.clock import SystemClock
from tailrace.collect.buffer.journal import Chunk, Journal, JournalLimits
from tests.unit.collect.support import quiet_log, until

CHUNKS = [Chunk(b'{"n":1}\n', 1, b'{"peer":"a"}'), Chunk(b'{"n":2}\n', 1, b'{"peer":"b"}')]


async def _open(folder: Path) -> Journal:
    return await Journal.open(folder, JournalLimits(), SystemClock(), quiet_log())


def _sizes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in folder.iterdir()}


async def test_a_batch_is_a_segment_of_its_own_whose_token_is_its_name(tmp_path: Path) -> None:
    journal = await _open(tmp_path)
    delivering = asyncio.create_task(journal.deliver("topic-0-5-7", CHUNKS))
    segment = await journal.next_segment()
    assert segment.token == "topic-0-5-7"
    assert [(bytes(r.payload), r.metadata) for r in segment.records()] == [
        (b'{"n":1}\n', b'{"peer":"a"}'),
        (b'{"n":2}\n', b'{"peer":"b"}'),
    ]
    assert not delivering.done()
    assert journal.events == 2
    await journal.remove(segment)
    await delivering
    assert journal.size_bytes == 0
    assert _sizes(tmp_path) == {}
    await journal.close()


async def test_a_crash_forgets_a_batch_but_not_its_name(tmp_path: Path) -> None:
    journal = await _open(tmp_path)
    for name in ("a-0-1", "a-0-2", "b-0-1"):
        delivering = asyncio.create_task(journal.deliver(name, CHUNKS))
        await journal.next_segment()
        delivering.cancel()
    await journal.close()

    again = await _open(tmp_path)
    assert again.waiting_segments == ()
    assert again.size_bytes == 0
    assert _sizes(tmp_path) == {"a-0-1.batch": 0, "a-0-2.batch": 0, "b-0-1.batch": 0}
    await again.forget("a-0", {"a-0-2"})
    assert _sizes(tmp_path).keys() == {"a-0-2.batch", "b-0-1.batch"}
    delivering = asyncio.create_task(again.deliver("a-0-2", CHUNKS))
    segment = await again.next_segment()
    assert [record.events for record in segment.records()] == [1, 1]
    await again.forget("a-0", ())
    assert segment.path.exists()
    await again.remove(segment)
    await delivering
    await again.close()


async def test_a_batch_is_given_out_again_by_rewind(tmp_path: Path) -> None:
    journal = await _open(tmp_path)
    delivering = asyncio.create_task(journal.deliver("a-0-1", CHUNKS))
    first = await journal.next_segment()
    await journal.rewind()
    assert (await journal.next_segment()).path == first.path
    await journal.remove(first)
    await until(delivering.done)
    await journal.close()


async def test_a_batch_that_is_being_written_is_not_forgotten(tmp_path: Path) -> None:
    journal = await _open(tmp_path)
    delivering = asyncio.create_task(journal.deliver("a-0-1", CHUNKS))
    await asyncio.sleep(0)
    await journal.forget("a", ())
    segment = await journal.next_segment()
    assert [record.events for record in segment.records()] == [1, 1]
    await journal.remove(segment)
    await delivering
    await journal.close()

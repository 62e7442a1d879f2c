"""A damaged ledger: never an end to the collector, and what can be read of it goes on."""

import asyncio
import tempfile
from functools import cache
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace.clock import SystemClock
from tailrace.collect.books import read_books
from tailrace.collect.ledger import FILE, BatchRow, Count, Ledger
from tailrace.collect.source import Position

BATCHES = 60


@cache
def filled() -> bytes:
    """A ledger's file."""

    async def write(folder: Path) -> None:
        ledger = await Ledger.open(folder / FILE, SystemClock())
        await ledger.put_positions("files", [Position("a", 1, "b")])
        for number in range(BATCHES):
            row = BatchRow(f"token-{number}", "out", "in", 0, 1, 1, 0, 1, 1, 0)
            await ledger.write_batch(row, {"2026-01-31": 1}, {number: 1})
            await ledger.finish_segment(row.token, "in", 1, [Count("in", "received", 1)])
        await ledger.close()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(write(Path(folder)))
        return (Path(folder) / FILE).read_bytes()


def opened(folder: Path) -> tuple[int, int]:
    """How many batches it still knows, and what it says was received."""

    async def look() -> tuple[int, int]:
        ledger = await Ledger.open(folder / FILE, SystemClock())
        known = [await ledger.has_taken(f"token-{number}") for number in range(BATCHES)]
        sums = await ledger.sums()
        row = BatchRow("new", "out", "in", 0, 1, 1, 0, 1, 1, 0)
        await ledger.write_batch(row, {"2026-01-31": 1})
        await ledger.close()
        return sum(map(bool, known)), sums.get(("in", "received", ""), 0)

    return asyncio.run(look())


DAMAGES = st.one_of(
    st.tuples(st.just("cut"), st.floats(0, 1)),
    st.tuples(st.just("flip"), st.floats(0, 0.999)),
    st.tuples(st.just("garbage"), st.floats(0, 1)),
)


@settings(max_examples=60, deadline=None)
@given(damage=DAMAGES)
def test_whatever_happens_to_the_file_it_opens_and_works(damage: tuple[str, float]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = filled()
        kind, place = damage
        at = int(place * len(data))
        changed = {
            "cut": data[:at],
            "flip": data[:at] + bytes([data[min(at, len(data) - 1)] ^ 0xFF]) + data[at + 1 :],
            "garbage": b"\xa5" * at,
        }[kind]
        (folder / FILE).write_bytes(changed)
        known, received = opened(folder)
        assert known <= BATCHES
        assert received in (0, BATCHES) or kind == "flip"
        assert read_books(folder).rows("out")["2026-01-31"] >= 1
        if read_books(folder).set_aside:
            assert all(path.exists() for path in read_books(folder).set_aside)


def test_what_a_cut_file_still_has_is_saved(tmp_path: Path) -> None:
    data = filled()
    (tmp_path / FILE).write_bytes(data[: len(data) - 4096])
    known, received = opened(tmp_path)
    assert (known, received) == (BATCHES, BATCHES)
    (aside,) = read_books(tmp_path).set_aside
    assert aside.name.startswith(FILE)
    assert opened(tmp_path) == (known, received), "damage is told once"
    assert len(read_books(tmp_path).set_aside) == 1


def test_a_ledger_that_is_gone_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / f"{FILE}-wal").write_bytes(b"left behind")
    assert opened(tmp_path) == (0, 0)
    assert not read_books(tmp_path).set_aside

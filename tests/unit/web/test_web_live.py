"""The live tail: one reader for all, bounded waiting, drops that are told."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime

import pytest

from tailrace.errors import StoreUnavailableError, TableMissingError, UsageError
from tailrace.packs.explore import Explore
from tailrace.search.query import LogQuery
from tailrace.search.rows import LogRow
from tailrace.search.table import Table, usual_table
from tailrace.search.tail import MAX_ROWS, Follower, News
from tailrace.testing import FakeStore
from tailrace.web.live import MAX_WAITING, LiveHub, Trouble, Watcher
from tailrace.web.server import refuse_strangers

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
MS = 1_795_341_600_000
WITHIN_SECS = 60


def stored(number: int) -> tuple[object, ...]:
    return (
        number, (MS << 20) + number, "INFO", "auth", "h", "", "", {}, MS * 10**6, f"m{number}", 2, None,
        number,
    )  # fmt: skip


def key(number: int, *matches: int) -> tuple[object, ...]:
    return (number, (MS << 20) + number, number, MS, list(matches))


def row(number: int) -> LogRow:
    return LogRow.of(usual_table(), stored(number)[:-1])


async def test_a_row_is_given_once_although_polls_overlap() -> None:
    store = FakeStore([("AS matches", [key(1, 1)]), ("arrival IN", [stored(1)])])
    follower = Follower(store)
    query = LogQuery()
    store.answers.insert(0, ("max(received_at)", [(MS,)]))
    assert [r.values["message"] for r in (await follower.poll([query], NOW))[0].rows] == ["m1"]
    assert (await follower.poll([query], NOW))[0] == News()
    store.answers[1] = ("AS matches", [key(2, 1), key(1, 1)])
    store.answers[2] = ("arrival IN", [stored(2)])
    assert [r.values["message"] for r in (await follower.poll([query], NOW))[0].rows] == ["m2"]


async def test_rows_that_are_alike_are_given_each_once() -> None:
    store = FakeStore(
        [
            ("max(received_at)", [(MS,)]),
            ("AS matches", [key(1, 1), key(2, 1), key(1, 1)]),
            ("arrival IN", [stored(1), stored(2), stored(1)]),
        ]
    )
    follower = Follower(store)
    query = LogQuery()
    [first] = await follower.poll([query], NOW)
    assert [(r.values["message"], r.copy) for r in first.rows] == [("m1", 2), ("m2", 1), ("m1", 1)]
    assert [r.to_json().get("copy") for r in first.rows] == [2, None, None]
    store.answers[1] = ("AS matches", [key(1, 1)] * 3)
    [second] = await follower.poll([query], NOW)
    assert [(r.values["message"], r.copy) for r in second.rows] == [("m1", 3)]
    store.answers[1] = ("AS matches", [key(1, 1)] * 2)  # one was deleted
    assert (await follower.poll([query], NOW))[0] == News()


async def test_filters_share_a_statement_and_each_gets_its_own() -> None:
    store = FakeStore(
        [
            ("max(received_at)", [(MS,)]),
            ("AS matches", [key(2, 0, 1), key(1, 1, 1)]),
            ("arrival IN", [stored(1), stored(2)]),
        ]
    )
    both = [LogQuery(text="a"), LogQuery(text="b")]
    news = await Follower(store).poll(both, NOW)
    assert [[r.values["message"] for r in one.rows] for one in news] == [["m1"], ["m1", "m2"]]
    assert sum("AS matches" in sql for sql in store.asked) == 1


async def test_a_burst_is_cut_and_counted_but_not_what_was_there_before() -> None:
    many = MAX_ROWS + 50
    store = FakeStore(
        [
            ("max(received_at)", [(MS,)]),
            ("AS matches", [key(n, 1) for n in range(many, 0, -1)]),
            ("arrival IN", [stored(n) for n in range(1, 2 * many + 1)]),
        ]
    )
    follower = Follower(store)
    [first] = await follower.poll([LogQuery()], NOW)
    assert (len(first.rows), first.dropped) == (MAX_ROWS, 0)
    store.answers[1] = ("AS matches", [key(n, 1) for n in range(2 * many, 0, -1)])
    [second] = await follower.poll([LogQuery()], NOW)
    assert (len(second.rows), second.dropped) == (MAX_ROWS, many - MAX_ROWS)
    assert second.rows[-1].values["message"] == f"m{2 * many}"


async def test_rows_are_not_lost_where_reading_them_failed_once() -> None:
    down = StoreUnavailableError("down")
    store = FakeStore(
        [("max(received_at)", [(MS,)]), ("AS matches", [key(1, 1)]), ("arrival IN", down)]
    )
    follower = Follower(store)
    with pytest.raises(StoreUnavailableError):
        await follower.poll([LogQuery()], NOW)
    store.answers[2] = ("arrival IN", [stored(1)])
    assert len((await follower.poll([LogQuery()], NOW))[0].rows) == 1


async def test_a_slow_watcher_is_told_what_it_missed() -> None:
    watcher = Watcher(LogQuery())
    for number in range(MAX_WAITING + 3):
        watcher.offer(News((row(number),)))
    assert len(watcher.waiting) == MAX_WAITING
    watcher.waiting.popleft()
    watcher.offer(News((row(99),)))
    last = watcher.waiting[-1]
    assert isinstance(last, News)
    assert last.dropped == 3


async def test_one_reader_serves_all_watchers_and_tells_of_trouble() -> None:
    store = FakeStore(
        [
            ("max(received_at)", [(MS,)]),
            ("AS matches", [key(1, 1)]),
            ("arrival IN", [stored(1)]),
        ]
    )
    hub = LiveHub(store, lambda: NOW)
    running = asyncio.create_task(hub.run())
    async with hub.watch(LogQuery()) as one, hub.watch(LogQuery()) as other:
        assert hub.watching == 2
        for watcher in (one, other):
            event = await anext(watcher.events(WITHIN_SECS))
            assert isinstance(event, News)
            assert [r.values["message"] for r in event.rows] == ["m1"]
        store.answers.insert(0, ("", StoreUnavailableError("cannot reach ClickHouse")))
        event = await anext(one.events(WITHIN_SECS))
        assert event == Trouble("cannot reach ClickHouse")
        store.answers.pop(0)
        assert await anext(one.events(WITHIN_SECS)) == Trouble(None)
    assert hub.watching == 0
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def test_a_table_that_cannot_be_read_keeps_no_other_waiting() -> None:
    said = {"time": "at", "fields": {"at": "moment"}, "columns": ["at"], "arrived": "at"}
    mill = Table("mill.grain", Explore.model_validate(said), "mill")
    store = FakeStore(
        [
            ("mill.grain", TableMissingError("cannot run the query: no table", code=60)),
            ("max(received_at)", [(MS,)]),
            ("AS matches", [key(1, 1)]),
            ("arrival IN", [stored(1)]),
        ]
    )
    hub = LiveHub(store, lambda: NOW)
    running = asyncio.create_task(hub.run())
    async with hub.watch(LogQuery(table=mill)) as broken, hub.watch(LogQuery()) as well:
        assert await anext(broken.events(WITHIN_SECS)) == Trouble("cannot run the query: no table")
        event = await anext(well.events(WITHIN_SECS))
        assert isinstance(event, News)
        assert [r.values["message"] for r in event.rows] == ["m1"]
        assert not well.waiting
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def test_stopping_the_hub_ends_every_stream() -> None:
    hub = LiveHub(FakeStore(), lambda: NOW)
    async with hub.watch(LogQuery()) as watcher:
        hub.stop()
        assert [event async for event in watcher.events(WITHIN_SECS)] == []
    async with hub.watch(LogQuery()) as late:
        assert [event async for event in late.events(WITHIN_SECS)] == []


async def test_who_joins_gets_the_latest_rows() -> None:
    store = FakeStore(
        [("max(received_at)", [(MS,)]), ("AS matches", [key(1, 1)]), ("arrival IN", [stored(1)])]
    )
    hub = LiveHub(store, lambda: NOW)
    running = asyncio.create_task(hub.run())
    async with hub.watch(LogQuery()) as first:
        await anext(first.events(WITHIN_SECS))
        async with hub.watch(LogQuery()) as second:
            event = second.waiting[0]
            assert isinstance(event, News)
            assert [r.values["message"] for r in event.rows] == ["m1"]
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org"])  # noqa: S104
def test_an_address_that_others_reach_is_refused_with_what_to_do(host: str) -> None:
    with pytest.raises(UsageError, match="TAILRACE_WEB_HOST"):
        refuse_strangers(host)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_loopback_is_fine(host: str) -> None:
    refuse_strangers(host)

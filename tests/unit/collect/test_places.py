"""How many batches may be on their way at once."""

import asyncio

import pytest

from tailrace.collect.places import AdaptiveLimit, Places


def together(limit: AdaptiveLimit, number: int, secs: float) -> None:
    """So many batches at once, which all take so long."""
    for _ in range(number):
        limit.begin()
    for _ in range(number):
        limit.end(secs)


def settle(limit: AdaptiveLimit, capacity: int, rounds: int = 200) -> list[int]:
    """Deliver to a destination that answers later when more than `capacity` come at once."""
    seen = []
    for _ in range(rounds):
        together(limit, limit.now, max(1.0, limit.now / capacity))
        seen.append(limit.now)
    return seen


@pytest.mark.parametrize("capacity", [1, 3, 8])
def test_an_adaptive_limit_finds_what_the_destination_takes(capacity: int) -> None:
    seen = settle(AdaptiveLimit(16), capacity)[100:]
    assert capacity <= sum(seen) / len(seen) <= capacity * 1.5 + 1


def test_it_stays_between_one_and_the_most() -> None:
    assert max(settle(AdaptiveLimit(4), 100)) == 4
    limit = AdaptiveLimit(4)
    settle(limit, 100)
    for number in range(100):
        together(limit, 4, 2.0**number)
    assert limit.now == 1


def test_it_does_not_grow_while_it_is_not_used_up() -> None:
    limit = AdaptiveLimit(16)
    settle(limit, 100, rounds=5)
    before = limit.now
    for _ in range(100):
        together(limit, 1, 1.0)
    assert limit.now == before


def test_what_has_not_arrived_says_nothing_and_is_not_under_way_any_more() -> None:
    limit = AdaptiveLimit(16)
    for _ in range(10):
        limit.begin()
        limit.end(None)
    assert limit.now == 1
    settle(limit, 100, rounds=5)
    assert limit.now > 1


async def test_a_place_is_waited_for_and_the_smallest_limit_counts() -> None:
    limit = AdaptiveLimit(16)
    places = Places(2, [limit])
    await places.take()
    second = asyncio.create_task(places.take())
    await asyncio.sleep(0)
    assert not second.done(), "an adaptive limit begins with one"
    settle(limit, 100)
    places.give_back()
    await asyncio.wait_for(second, 60)
    await places.take()
    third = asyncio.create_task(places.take())
    await asyncio.sleep(0)
    assert not third.done(), "another sink takes two"
    places.give_back()
    await asyncio.wait_for(third, 60)
    assert places.taken == 2

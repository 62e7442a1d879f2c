"""The event loop's lag is measured while the block lasts, and not after it."""

import asyncio

from tailrace.clock import SystemClock
from tailrace.collect.event_loop import measured_lag
from tests.unit.collect.support import until

STALL_SECS = 0.2


async def test_a_stall_is_seen_with_its_length() -> None:
    clock, lags = SystemClock(), list[float]()
    async with measured_lag(clock, lags.append):
        await until(lambda: lags)
        end = clock.monotonic() + STALL_SECS
        while clock.monotonic() < end:
            pass
        await until(lambda: max(lags) > STALL_SECS / 2)
    seen = len(lags)
    await asyncio.sleep(0.05)
    assert len(lags) == seen

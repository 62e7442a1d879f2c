"""Measures how long the event loop keeps its tasks waiting.

A task sleeps for `PERIOD_SECS` again and again and notes by how much it woke too late. A stall that
begins while it sleeps is seen without its beginning, so each may have been up to one period longer.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from tailrace.clock import Clock

PERIOD_SECS = 0.01
"""A hundred wakings a second cost a thousandth of a core."""


@asynccontextmanager
async def measured_lag(clock: Clock, observe: Callable[[float], None]) -> AsyncIterator[None]:
    """Tell `observe` every lag in seconds, for as long as the block lasts."""
    task = asyncio.create_task(_measure_for_ever(clock, observe))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _measure_for_ever(clock: Clock, observe: Callable[[float], None]) -> None:
    while True:
        due = clock.monotonic() + PERIOD_SECS
        await asyncio.sleep(PERIOD_SECS)
        observe(max(0.0, clock.monotonic() - due))

"""An event loop whose time leaps: where nothing is left to do but to sleep, the sleep is over.

Hours pass in a moment, and always the same ones. Nothing real may be waited for: no socket, no thread.
"""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

from typing_extensions import override

T = TypeVar("T")


class LeapingLoop(asyncio.SelectorEventLoop):
    """Begins at zero."""

    def __init__(self) -> None:
        self._leaping = _LeapingSelector()
        super().__init__(self._leaping)

    @override
    def time(self) -> float:
        return self._leaping.now_secs


class _LeapingSelector(selectors.DefaultSelector):
    def __init__(self) -> None:
        super().__init__()
        self.now_secs = 0.0

    @override
    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None:
            self.now_secs += max(0.0, timeout)
            timeout = 0
        return super().select(timeout)


def run_leaping(work: Coroutine[Any, Any, T]) -> T:
    """What `work` returns, on such a loop."""
    with asyncio.Runner(loop_factory=LeapingLoop) as runner:
        return runner.run(work)


def now_secs() -> float:
    """The time of the running loop."""
    return asyncio.get_running_loop().time()

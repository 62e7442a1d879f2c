"""Blocking work in threads that do not keep the process alive: what they wait for may never come."""

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def in_daemon(name: str, function: Callable[[], T]) -> T:
    """The function's result, or what it raises. When nobody waits any more it goes on by itself."""
    loop = asyncio.get_running_loop()
    found: asyncio.Future[T] = loop.create_future()

    def finish(result: T | None, error: BaseException | None) -> None:
        if found.done():
            return
        if error:
            found.set_exception(error)
        else:
            found.set_result(result)  # type: ignore[arg-type]  # a T where nothing was raised

    def work() -> None:
        result: T | None = None
        failure: BaseException | None = None
        try:
            result = function()
        except BaseException as error:  # noqa: BLE001  # it is raised again where it is waited for
            failure = error
        if not loop.is_closed():
            loop.call_soon_threadsafe(finish, result, failure)

    threading.Thread(target=work, name=name, daemon=True).start()
    return await found

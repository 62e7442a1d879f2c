"""How long a peer may take to send a request over HTTP.

A byte now and then would keep a connection, and the room that was kept for its body, for as long as its
sender likes. Every server here therefore gives up on

- a head that is not complete `HEAD_SECS` after it began, the first one of a connection after it was opened;
- a body of which fewer than `BODY_BYTES` come within `BODY_SECS`, while nothing but its peer is waited for.

Both are answered with 408, and the connection is closed. Between requests it may be quiet.
"""

import asyncio
from types import TracebackType
from typing import Final, Self

HEAD_SECS: Final = 60.0
"""As long as nginx waits by default."""

BODY_SECS: Final = 30.0
BODY_BYTES: Final = 16 * 1024
"""Some five hundred bytes a second, which is what Apache asks for by default."""


class BodyPace:
    """Around what reads one body: raises TimeoutError, with what to say, when too little of it comes."""

    def __init__(self) -> None:
        self._limit = asyncio.timeout(BODY_SECS)
        self._missing_bytes = BODY_BYTES

    async def __aenter__(self) -> Self:
        await self._limit.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            await self._limit.__aexit__(kind, error, traceback)
        except TimeoutError as silence:
            raise TimeoutError(
                f"cannot read the body: fewer than {BODY_BYTES} bytes of it have come "
                f"for {BODY_SECS:g} s"
            ) from silence

    def came(self, size_bytes: int) -> None:
        """So much of the body is here."""
        self._missing_bytes -= size_bytes
        if self._missing_bytes <= 0 and not self._limit.expired():
            self._missing_bytes = BODY_BYTES
            self._limit.reschedule(asyncio.get_running_loop().time() + BODY_SECS)

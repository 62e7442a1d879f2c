"""Answers only those who call us by a name of ours.

Who opens a page of another site has a browser that runs its scripts. Were that site's name to lead to
127.0.0.1 (DNS rebinding), the browser would take our answers for that site's own, and its scripts
could read every log. The `Host` of such requests is that site's name.
"""

import ipaddress
from collections.abc import Collection
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from tailrace.web.problems import problem

LOCALHOST: Final = "localhost"


class OwnNames:
    """Refuses requests whose `Host` is neither loopback nor one of `names`, whatever the port."""

    def __init__(self, app: ASGIApp, names: Collection[str]) -> None:
        self.app = app
        self._names = {LOCALHOST, *(name.lower() for name in names)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "http":
            host = Headers(scope=scope).get("host")
            if host is not None and not self._is_ours(host):
                await _refusal(host)(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def _is_ours(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if name in self._names or name.endswith(f".{LOCALHOST}"):
            return True
        try:
            return ipaddress.ip_address(name).is_loopback
        except ValueError:
            return False


def _refusal(host: str) -> ASGIApp:
    return problem(
        403,
        f"cannot answer to the name {host[:200]!r}: only 127.0.0.1, localhost and ::1 are known. "
        "If a proxy is to be reached by it, name it in TAILRACE_WEB_NAMES",
    )

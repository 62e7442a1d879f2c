"""Who may ask: user name and password as ClickHouse takes them, and browsers kept out.

With no password set the engine trusts whoever reaches it on loopback, as a ClickHouse server does
out of the box. A page in that person's browser reaches it too, so requests that a foreign page
sent, or that came by a foreign name for this machine, are refused.
"""

import binascii
import hmac
from base64 import b64decode
from urllib.parse import urlsplit

from tailrace.engine.exceptions import ClickHouseError
from tailrace.engine.request import Request
from tailrace.errors import UsageError
from tailrace.settings import Settings

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


class Guard:
    """Lets a request in or raises."""

    def __init__(self, settings: Settings) -> None:
        password = settings.clickhouse_password
        self._user = settings.clickhouse_user or "default"
        self._password = password.get_secret_value() if password else ""
        self._trusting = not self._password
        if self._trusting and settings.engine_host not in _LOOPBACK:
            raise UsageError(
                f"cannot listen on {settings.engine_host!r} without a password: everybody who "
                "reaches the port could read and delete everything. Set TAILRACE_CLICKHOUSE_USER "
                "and TAILRACE_CLICKHOUSE_PASSWORD, or listen on 127.0.0.1"
            )

    def check(self, request: Request) -> None:
        """Raise ClickHouse's AUTHENTICATION_FAILED unless user and password are right."""
        user, password = _credentials(request)
        right = hmac.compare_digest(user.encode(), self._user.encode())
        right &= hmac.compare_digest(password.encode(), self._password.encode())
        if not right:
            raise ClickHouseError(
                516,
                "AUTHENTICATION_FAILED",
                f"{user}: Authentication failed: password is incorrect, or there is no user with "
                "such name.",
            )
        if self._trusting:
            _refuse_foreign_pages(request)


def _credentials(request: Request) -> tuple[str, str]:
    headers, options = request.headers, request.options
    by_header = "x-clickhouse-user" in headers or "x-clickhouse-key" in headers
    if by_header and "authorization" in headers:
        raise ClickHouseError(
            516,
            "AUTHENTICATION_FAILED",
            "Invalid authentication: it is not allowed to use X-ClickHouse HTTP headers and "
            "Authorization HTTP header simultaneously",
        )
    if by_header:
        return headers.get("x-clickhouse-user") or "default", headers.get("x-clickhouse-key", "")
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            name, _, password = b64decode(value).decode("utf-8", "replace").partition(":")
        except binascii.Error as error:
            raise ClickHouseError(
                516, "AUTHENTICATION_FAILED", "cannot read the Authorization header: not Base64"
            ) from error
        return name or "default", password
    return options.get("user") or "default", options.get("password", "")


def _refuse_foreign_pages(request: Request) -> None:
    own = request.headers.get("host", "")
    names = {_name_of("//" + own)} if own else set()
    if origin := request.headers.get("origin"):
        names.add(_name_of(origin))
    if request.headers.get("sec-fetch-site") == "cross-site":
        names.add("another site")
    for name in names - _LOOPBACK:
        raise ClickHouseError(
            497,
            "ACCESS_DENIED",
            f"cannot take a request of a page or a host named {name!r}: without a password only "
            "127.0.0.1, localhost and ::1 are trusted",
        )


def _name_of(address: str) -> str:
    try:
        return urlsplit(address).hostname or address
    except ValueError:
        return address

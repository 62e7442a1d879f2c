"""How sinks that speak HTTP prove who they are and check who answers."""

import ssl
from collections.abc import Generator

import httpx
from typing_extensions import override

from tailrace.collect.options import BasicAuth, BearerAuth, ClientTls


def auth_of(auth: BasicAuth | BearerAuth | None) -> httpx.Auth | None:
    """What the option `auth` asks for."""
    if isinstance(auth, BearerAuth):
        return TokenAuth("Bearer", auth.token.get_secret_value())
    return httpx.BasicAuth(auth.user, auth.password.get_secret_value()) if auth else None


def client_context(tls: ClientTls) -> ssl.SSLContext:
    """What connections are made with; raises OSError where a file cannot be read."""
    context = ssl.create_default_context(cafile=tls.ca_file)
    if tls.crt_file:
        context.load_cert_chain(tls.crt_file, tls.key_file)
    context.check_hostname = tls.verify_hostname and tls.verify_certificate
    if not tls.verify_certificate:
        context.verify_mode = ssl.CERT_NONE
    return context


class TokenAuth(httpx.Auth):
    """A token in the header `Authorization`, after the name of its scheme."""

    def __init__(self, scheme: str, token: str) -> None:
        self._value = f"{scheme} {token}"

    @override
    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["Authorization"] = self._value
        yield request

"""TLS for sources: the options that all of them share, and what connections are made with.

What is guaranteed: with `enabled` nobody is heard without TLS, of version 1.2 or later, and with
`verify_certificate` nobody without a certificate that an authority of `ca_file` has signed. Files are
read when the source starts; one that cannot be used ends that start.
"""

import ssl
from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import SecretStr, field_validator, model_validator

from tailrace.collect.component import Options
from tailrace.errors import TailraceError

HANDSHAKE_SECS = 10.0
"""A peer that takes longer is sent away: it holds a connection that nobody counts yet."""

SHUTDOWN_SECS = 1.0
"""A peer that does not answer our goodbye is left."""


def accepting(context: ssl.SSLContext | None) -> dict[str, Any]:
    """What asyncio's servers are given besides their sockets."""
    if context is None:
        return {}
    return {
        "ssl": context,
        "ssl_handshake_timeout": HANDSHAKE_SECS,
        "ssl_shutdown_timeout": SHUTDOWN_SECS,
    }


class ServerTls(Options):
    """Whether and how peers must encrypt what they send."""

    not_taken: ClassVar[Mapping[str, str]] = {
        "client_metadata_key": "what is in a peer's certificate is no field of its events",
        "server_name": "Vector, too, has it for what it sends only",
        "verify_hostname": "Vector, too, has it for what it sends only",
    }

    enabled: bool | None = None
    """Whether they must. Unset is false, as in Vector; but then no other option may be given."""

    crt_file: str | None = None
    """File of our certificate, and of those that lead from it to an authority, PEM; needed where
    `enabled` is true, else unset."""

    key_file: str | None = None
    """File of our certificate's key, PEM; unset: it is in `crt_file`."""

    key_pass: SecretStr | None = None
    """Password of the key. Unset: the key is not locked."""

    ca_file: str | None = None
    """File of the authorities whose certificates peers may have, PEM; `verify_certificate`
    needs it, else it is unset."""

    verify_certificate: bool = False
    """Whether peers must have a certificate of one of the authorities in `ca_file`."""

    alpn_protocols: tuple[str, ...] = ()
    """Protocols that we offer in the handshake, the one we like best first."""

    @model_validator(mode="after")
    def _is_on_or_off(self) -> "ServerTls":
        if self.enabled is None and self.model_fields_set:
            raise ValueError(
                "cannot tell whether this is meant to be on: as in Vector, peers send in the clear "
                "unless tls.enabled is true; give it"
            )
        if self.enabled and self.crt_file is None:
            raise ValueError("cannot listen with TLS without a certificate: give tls.crt_file")
        if self.verify_certificate and self.ca_file is None:
            raise ValueError(
                "cannot check peers' certificates without authorities: give tls.ca_file (those that "
                "this system trusts give certificates to everybody)"
            )
        return self

    def context(self, setting: str) -> ssl.SSLContext | None:
        """What connections are accepted with, None where it is off; `setting` names the options.

        Raises TailraceError where a file cannot be used.
        """
        if not self.enabled:
            return None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        password = self.key_pass.get_secret_value() if self.key_pass else ""
        try:
            # With a password, be it an empty one, OpenSSL does not ask the terminal for it.
            context.load_cert_chain(self.crt_file or "", self.key_file, password)
        except (OSError, ValueError) as error:
            files = ", ".join(filter(None, (self.crt_file, self.key_file)))
            raise TailraceError(
                f"cannot use the certificate {files} ({setting}.crt_file, key_file, key_pass): "
                f"{error}. PEM is wanted"
            ) from error
        if self.verify_certificate:
            context.verify_mode = ssl.CERT_REQUIRED
            try:
                context.load_verify_locations(self.ca_file)
            except OSError as error:
                raise TailraceError(
                    f"cannot use the authorities in {self.ca_file} ({setting}.ca_file): {error}"
                ) from error
        if self.alpn_protocols:
            context.set_alpn_protocols([*self.alpn_protocols])
        return context


class HttpServerTls(ServerTls):
    """Whether and how peers must encrypt what they send."""

    @field_validator("alpn_protocols")
    @classmethod
    def _speaks_http_1(cls, protocols: tuple[str, ...]) -> tuple[str, ...]:
        if others := set(protocols) - {"http/1.1"}:
            raise ValueError(f"cannot speak {sorted(others)[0]!r}: give http/1.1, or leave it out")
        return protocols

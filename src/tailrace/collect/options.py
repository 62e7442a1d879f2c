"""Options that several components share, under Vector's names and with Vector's defaults."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr

from tailrace.collect.component import Options


def split_address(address: str) -> tuple[str, int]:
    """Host and port of `127.0.0.1:9000` or `[::1]:9000`; raises ValueError."""
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > 65535:
        raise ValueError(f"cannot read {address!r} as an address: give host:port")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _check_address(address: str) -> str:
    split_address(address)
    return address


Address = Annotated[str, AfterValidator(_check_address)]


class JsonDecoding(Options):
    """How the codec `json` reads."""

    lossy: bool = True
    """Replace bytes that are not UTF-8 by U+FFFD, rather than refuse the event."""


class VrlDecoding(Options):
    """How the codec `vrl` reads."""

    source: str
    """The program that turns `.message` into the event."""

    timezone: str | None = None
    """Time zone of timestamps that name none."""


class Decoding(Options):
    """How a frame of bytes becomes events."""

    codec: str = "bytes"
    """Name of the codec: `bytes`, `json` …"""

    json_options: JsonDecoding = Field(default=JsonDecoding(), alias="json")
    """Options of the codec `json`."""

    vrl: VrlDecoding | None = None
    """Options of the codec `vrl`."""


class NewlineFraming(Options):
    """Options of the framing `newline_delimited`."""

    max_length: int | None = Field(default=None, ge=1)
    """Longest line in bytes; longer ones are rejected."""


class Framing(Options):
    """How a stream of bytes is cut into frames."""

    method: Literal["newline_delimited", "bytes"] = "newline_delimited"
    """Where a frame ends."""

    newline_delimited: NewlineFraming = NewlineFraming()
    """Options of the framing `newline_delimited`."""


class Batch(Options):
    """How many events travel together."""

    max_bytes: int = Field(default=10_000_000, ge=1)
    """Size in bytes of the events, uncompressed, at which a batch is sent."""

    max_events: int | None = Field(default=None, ge=1)
    """Number of events at which a batch is sent."""

    timeout_secs: float = Field(default=1.0, gt=0)
    """Age in seconds at which a batch is sent, full or not."""


class BasicAuth(Options):
    """A user name and a password."""

    strategy: Literal["basic"]
    user: str
    password: SecretStr


class BearerAuth(Options):
    """A token."""

    strategy: Literal["bearer"]
    token: SecretStr


class ClientTls(Options):
    """How a sink proves and checks identities."""

    verify_certificate: bool = True
    """Whether the server's certificate must be valid."""

    verify_hostname: bool = True
    """Whether the certificate must be for the host that is asked."""

    ca_file: str | None = None
    """File of certificates to trust, PEM."""

    crt_file: str | None = None
    """File of our own certificate, PEM."""

    key_file: str | None = None
    """File of our own certificate's key, PEM."""


class Acknowledgements(Options):
    """Vector asks whether a source waits for this sink; Tailrace's sources wait for an fsync."""

    enabled: bool | None = None
    """Either is kept: acknowledged events are durable before the sink has them."""

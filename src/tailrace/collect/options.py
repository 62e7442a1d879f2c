"""Options that several components share, under Vector's names and with Vector's defaults."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, field_validator, model_validator

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
    """Bytes that are not UTF-8 become U+FFFD; `false` is refused."""


NO_SUCH_CODEC = "Tailrace does not have the codec that it belongs to"


class Decoding(Options):
    """How a frame of bytes becomes events."""

    not_taken: ClassVar[Mapping[str, str]] = {
        "avro": NO_SUCH_CODEC,
        "gelf": "GELF is read strictly, and bytes that are not UTF-8 become U+FFFD",
        "influxdb": NO_SUCH_CODEC,
        "native_json": NO_SUCH_CODEC,
        "protobuf": NO_SUCH_CODEC,
        "signal_types": NO_SUCH_CODEC,
        "syslog": "bytes that are not UTF-8 become U+FFFD",
        "vrl": "take the codec bytes, and a transform `remap` behind the source",
    }

    codec: str = "bytes"
    """Name of the codec: `bytes`, `gelf`, `json` or `syslog`. With `bytes` a frame is the text in
    `.message`."""

    json_options: JsonDecoding = Field(default=JsonDecoding(), alias="json")
    """Options of the codec `json`."""


class NewlineFraming(Options):
    """Options of the framing `newline_delimited`."""

    max_length: int | None = Field(default=None, ge=1)
    """Longest line in bytes; longer ones are rejected. Unset: as long as the source can take."""


class AnyFraming(Options):
    """Base of the options `framing`: a table for each method, of which one is used."""

    not_taken: ClassVar[Mapping[str, str]] = {
        "chunked_gelf": "Tailrace does not have this framing: send GELF over TCP",
        "length_delimited": "Tailrace does not have this framing: octet_counting is near to it",
        "varint_length_delimited": "Tailrace does not have this framing",
    }

    method: str
    """Where a frame ends."""

    @model_validator(mode="after")
    def _belongs_to_the_method(self) -> Self:
        for option in sorted(self.model_fields_set - {"method", self.method}):
            if getattr(self, option) is not None:
                raise ValueError(f'"{option}" belongs to that method, not to "{self.method}"')
        return self


class Framing(AnyFraming):
    """How a stream of bytes is cut into frames."""

    method: Literal["newline_delimited", "bytes"] = "newline_delimited"
    """Where a frame ends: at a newline, or where the whole ends (`bytes`)."""

    newline_delimited: NewlineFraming = NewlineFraming()
    """Options of the framing `newline_delimited`."""


class Batch(Options):
    """How many events travel together."""

    max_bytes: int = Field(default=10_000_000, ge=1)
    """Size in bytes of the events, uncompressed, at which a batch is sent; Vector counts the size
    that they have in its memory."""

    max_events: int | None = Field(default=None, ge=1)
    """Number of events at which a batch is sent. Unset: only size and age count."""

    timeout_secs: float = Field(default=1.0, gt=0)
    """Age in seconds at which a batch is sent, full or not."""


MOST_CONCURRENCY = 16
"""Batches of one source that a sink may take at once: each is in memory while it is sent."""

ENDLESS_RETRIES = 2**64 - 1
"""Vector's default of `request.retry_attempts`."""


class Request(Options):
    """How requests are made and repeated."""

    not_taken: ClassVar[Mapping[str, str]] = {
        "adaptive_concurrency": "`concurrency: adaptive` has nothing to be set",
        "headers": "the sink `http` alone has it",
        "retry_jitter_mode": "waits are not varied by chance",
    }

    timeout_secs: int = Field(default=60, ge=1)
    """Seconds after which a request without an answer is given up and repeated."""

    retry_attempts: int | None = Field(default=None, ge=0)
    """Repetitions after which a request is given up: its events are rejected, with the last problem
    as the reason. Unset: never, and events wait in the buffer."""

    retry_initial_backoff_secs: int = Field(default=1, ge=1)
    """Seconds before the first repetition; the following wait as the Fibonacci numbers grow."""

    retry_max_duration_secs: int = Field(default=30, ge=1)
    """Longest wait in seconds between two repetitions."""

    concurrency: int | Literal["none", "adaptive"] = 1
    """Batches of one source that may be on their way at once: 1 to 16; `none` is 1; `adaptive` finds
    out how many the destination takes without answering later than usual, up to 16."""

    rate_limit_duration_secs: int = Field(default=1, ge=1)
    """Seconds that `rate_limit_num` is for."""

    rate_limit_num: int | None = Field(default=None, ge=1)
    """Requests within `rate_limit_duration_secs`, at most; repetitions count. Unset: no limit."""

    @field_validator("concurrency", mode="before")
    @classmethod
    def _check_concurrency(cls, value: Any) -> Any:
        is_number = type(value) is int and 1 <= value <= MOST_CONCURRENCY
        if not is_number and value not in ("none", "adaptive"):
            raise ValueError(
                f"cannot be {value!r}: give a number from 1 to {MOST_CONCURRENCY}, none or adaptive"
            )
        return value

    @property
    def most_at_once(self) -> int:
        """`concurrency` as a number; of `adaptive`, the highest."""
        match self.concurrency:
            case "none":
                return 1
            case "adaptive":
                return MOST_CONCURRENCY
            case number:
                return number

    @property
    def most_attempts(self) -> int:
        """`retry_attempts` and the first attempt."""
        return (ENDLESS_RETRIES if self.retry_attempts is None else self.retry_attempts) + 1


class BasicAuth(Options):
    """A user name and a password."""

    strategy: Literal["basic"]
    """Which of the ways it is."""

    user: str
    """The user's name."""

    password: SecretStr
    """The user's password."""


class BearerAuth(Options):
    """A token."""

    strategy: Literal["bearer"]
    """Which of the ways it is."""

    token: SecretStr
    """What is sent as `Authorization: Bearer <token>`."""


class ClientTls(Options):
    """How a sink proves and checks identities."""

    not_taken: ClassVar[Mapping[str, str]] = {
        "alpn_protocols": "requests are HTTP/1.1",
        "key_pass": "give a key that is not locked, in a file that only the collector may read",
        "server_name": "the name is that of the address",
        "enabled": "https in the address says it",
    }

    verify_certificate: bool = True
    """Whether the server's certificate must be valid."""

    verify_hostname: bool = True
    """Whether the certificate must be for the host that is asked."""

    ca_file: str | None = None
    """File of certificates to trust, PEM. Unset: those that the system trusts."""

    crt_file: str | None = None
    """File of our own certificate, PEM. Unset: none is shown."""

    key_file: str | None = None
    """File of our own certificate's key, PEM. Unset: it is in `crt_file`."""


class Acknowledgements(Options):
    """Vector asks whether a source waits for this sink; Tailrace's sources wait for an fsync."""

    enabled: bool | None = None
    """Either is kept, as when unset: acknowledged events are durable before the sink has them."""


class Healthcheck(Options):
    """Whether the destination is asked at start."""

    enabled: bool = True
    """Ask it and say so when it does not answer; the collector starts either way."""

"""What the source and the sink `kafka` share: how a client of a Kafka cluster is set up.

Both are librdkafka, which has its own threads and buffers. Vector's options become its settings;
`librdkafka_options` are handed on as they are, and whether librdkafka knows them is asked at once, by
a client that has nobody to connect to.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import ClassVar, Self, TypeVar

from confluent_kafka import Consumer, KafkaException, Producer
from pydantic import Field, SecretStr, model_validator

from tailrace.collect.component import Options
from tailrace.kafka import SILENT, Sasl, Tls, explain, security_settings

Client = TypeVar("Client", Consumer, Producer)


def _check_is_on_or_off(name: str, options: Options, is_enabled: bool | None) -> None:
    if is_enabled is None and options.model_fields_set:
        raise ValueError(
            "cannot tell whether this is meant to be on: as in Vector it is off unless "
            f"{name}.enabled is true; give it"
        )


class KafkaSasl(Options):
    """How we prove who we are."""

    enabled: bool | None = None
    """Whether SASL is used. Unset is false, as in Vector; but then no other option may be given."""

    mechanism: str | None = None
    """`PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`; others need settings in `librdkafka_options`.
    Unset: librdkafka's default."""

    username: str | None = None
    """User name. Unset: none."""

    password: SecretStr | None = None
    """Password. Unset: none."""

    @model_validator(mode="after")
    def _is_on_or_off(self) -> Self:
        _check_is_on_or_off("sasl", self, self.enabled)
        return self


class KafkaTls(Options):
    """How identities are proved and checked. Files may be given by their content, PEM."""

    not_taken: ClassVar[Mapping[str, str]] = {
        "alpn_protocols": "Kafka's protocol does not use it",
        "server_name": "the name is that of the broker's address",
    }

    enabled: bool | None = None
    """Whether TLS is used. Unset is false, as in Vector; but then no other option may be given."""

    verify_certificate: bool = True
    """Whether brokers' certificates must be valid."""

    verify_hostname: bool = True
    """Whether a certificate must be for the host that is asked."""

    ca_file: str | None = None
    """Certificates to trust. Unset: those that the system trusts."""

    crt_file: str | None = None
    """Our own certificate. Unset: none is shown."""

    key_file: str | None = None
    """Our own certificate's key. Unset: it is in `crt_file`."""

    key_pass: SecretStr | None = None
    """Password of the key. Unset: the key is not locked."""

    @model_validator(mode="after")
    def _is_on_or_off(self) -> Self:
        _check_is_on_or_off("tls", self, self.enabled)
        return self


class KafkaConnection(Options):
    """What every client needs."""

    bootstrap_servers: str = Field(min_length=1)
    """Addresses of some brokers, `host:port`, with commas between; they tell the others."""

    socket_timeout_ms: int = Field(default=60_000, ge=10, le=300_000)
    """Time in ms after which a request without an answer is given up."""

    sasl: KafkaSasl = KafkaSasl()
    """How we prove who we are."""

    tls: KafkaTls = KafkaTls()
    """How identities are proved and checked."""

    librdkafka_options: dict[str, str] = {}
    """Settings of librdkafka by its own names; they count more than the options here."""

    def connection_settings(self) -> dict[str, str | int]:
        """The options of this class, as librdkafka wants them."""
        own = {"enabled"}
        sasl = Sasl(**self.sasl.model_dump(exclude=own)) if self.sasl.enabled else None
        tls = Tls(**self.tls.model_dump(exclude=own)) if self.tls.enabled else None
        return {
            "bootstrap.servers": self.bootstrap_servers,
            "socket.timeout.ms": self.socket_timeout_ms,
            "client.id": "tailrace",
            "log_level": SILENT,
            **security_settings(sasl, tls),
        }


def check_options(options: Mapping[str, str], ours: Iterable[str], why: str) -> None:
    """Refuse what would break a promise; raises ValueError."""
    for name in ours:
        if name in options:
            raise ValueError(f"cannot set {name!r} in librdkafka_options: {why}")


def check_consumer(settings: Mapping[str, str | int]) -> None:
    """Ask librdkafka whether it knows the settings; raises ValueError."""
    _make(lambda: Consumer(_without_servers(settings))).close()


def check_producer(settings: Mapping[str, str | int]) -> None:
    """Ask librdkafka whether it knows the settings; raises ValueError."""
    _make(lambda: Producer(_without_servers(settings)))


def _without_servers(settings: Mapping[str, str | int]) -> dict[str, str | int]:
    return {name: value for name, value in settings.items() if name != "bootstrap.servers"}


def _make(make: Callable[[], Client]) -> Client:
    try:
        return make()
    except KafkaException as error:
        raise ValueError(f"librdkafka refuses it: {explain(error)}") from error
    except TypeError as error:
        raise ValueError(f"librdkafka refuses it: {error}") from error

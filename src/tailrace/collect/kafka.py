"""What the source and the sink `kafka` share: how a client of a Kafka cluster is set up.

Both are librdkafka, which has its own threads and buffers. Vector's options become its settings;
`librdkafka_options` are handed on as they are, and whether librdkafka knows them is asked at once, by
a client that has nobody to connect to.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from confluent_kafka import Consumer, KafkaException, Producer
from pydantic import Field, SecretStr

from tailrace.collect.component import Options
from tailrace.collect.options import ClientTls

SILENT = 2
"""librdkafka writes to standard error; what matters comes as an error, and is logged by us."""

PEM_MARK = "-----BEGIN "

Client = TypeVar("Client", Consumer, Producer)


class KafkaSasl(Options):
    """How we prove who we are."""

    enabled: bool = False
    """Whether SASL is used."""

    mechanism: str | None = None
    """`PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`; others need settings in `librdkafka_options`."""

    username: str | None = None
    """User name."""

    password: SecretStr | None = None
    """Password."""


class KafkaTls(ClientTls):
    """How identities are proved and checked. Files may be given by their content, PEM."""

    enabled: bool = False
    """Whether TLS is used."""

    key_pass: SecretStr | None = None
    """Password of `key_file`."""


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
        settings: dict[str, str | int] = {
            "bootstrap.servers": self.bootstrap_servers,
            "socket.timeout.ms": self.socket_timeout_ms,
            "security.protocol": self._protocol,
            "client.id": "tailrace",
            "log_level": SILENT,
        }
        if self.sasl.enabled:
            settings |= _given(
                {
                    "sasl.mechanism": self.sasl.mechanism,
                    "sasl.username": self.sasl.username,
                    "sasl.password": self.sasl.password,
                }
            )
        if self.tls.enabled:
            settings |= _tls(self.tls)
        return settings

    @property
    def _protocol(self) -> str:
        match self.sasl.enabled, self.tls.enabled:
            case True, True:
                return "sasl_ssl"
            case True, False:
                return "sasl_plaintext"
            case False, True:
                return "ssl"
            case _:
                return "plaintext"


def _tls(tls: KafkaTls) -> dict[str, str | int]:
    settings = {
        "enable.ssl.certificate.verification": str(tls.verify_certificate).lower(),
        "ssl.endpoint.identification.algorithm": "https" if tls.verify_hostname else "none",
        "ssl.key.password": tls.key_pass,
    }
    files = {"ca": tls.ca_file, "certificate": tls.crt_file, "key": tls.key_file}
    for name, value in files.items():
        kind = "pem" if value and PEM_MARK in value else "location"
        settings[f"ssl.{name}.{kind}"] = value
    return _given(settings)


def _given(values: Mapping[str, str | SecretStr | None]) -> dict[str, str | int]:
    return {
        name: value.get_secret_value() if isinstance(value, SecretStr) else value
        for name, value in values.items()
        if value is not None
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
        raise ValueError(f"librdkafka refuses it: {error.args[0].str()}") from error
    except TypeError as error:
        raise ValueError(f"librdkafka refuses it: {error}") from error

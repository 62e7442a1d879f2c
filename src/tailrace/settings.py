"""The one way to read a setting.

Each field is a flag of the commands that use it and the environment variable `TAILRACE_<FIELD>`.
A flag beats the environment, the environment beats the default.
"""

from pathlib import Path
from typing import Literal, Self

from pydantic import AliasChoices, Field, SecretStr, ValidationError, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from tailrace.errors import UsageError

ENVIRONMENT_PREFIX = "TAILRACE_"


class Settings(BaseSettings):
    """What a person may set. Immutable once read."""

    model_config = SettingsConfigDict(
        env_prefix=ENVIRONMENT_PREFIX, frozen=True, extra="ignore", use_attribute_docstrings=True
    )

    data_dir: Path = Path("tailrace-data")
    """Folder of everything that Tailrace keeps: `clickhouse/`, `buffer/`, `tailrace.db`."""

    clickhouse_url: str | None = None
    """HTTP address of a ClickHouse server. Without it, `up` starts the embedded engine."""

    clickhouse_user: str | None = None
    """User name for ClickHouse; asked for by the embedded engine, too, when it is set."""

    clickhouse_password: SecretStr | None = None
    """Password for ClickHouse; asked for by the embedded engine, too, when it is set."""

    engine_host: str = "127.0.0.1"
    """Address that the embedded engine listens on."""

    engine_port: int = Field(8123, ge=0, le=65535)
    """Port of the embedded engine's ClickHouse HTTP interface."""

    web_host: str = "127.0.0.1"
    """Address that the web pages and the REST API listen on."""

    web_port: int = Field(8000, ge=0, le=65535)
    """Port of the web pages and the REST API."""

    web_names: str = ""
    """Names, with commas between, by which browsers may call the pages besides `localhost`: those of
    a proxy that stands before them."""

    intake_tcp: str = "127.0.0.1:9000"
    """Address and port on which newline-delimited JSON is taken over TCP."""

    intake_http: str = "127.0.0.1:9001"
    """Address and port on which JSON is taken by HTTP POST."""

    collector: Literal["tailrace", "vector"] = "tailrace"
    """What collects: Tailrace's own collector, or the program `vector` with the same files."""

    collector_host: str = "127.0.0.1"
    """Address of the collector's own health and metrics pages."""

    collector_port: int = Field(9002, ge=0, le=65535)
    """Port of the collector's own health and metrics pages."""

    fsync_max_wait_ms: float = Field(5.0, ge=0, le=1000)
    """Longest time in ms that an event waits for others to share its fsync."""

    buffer_max_bytes: int = Field(4 * 1024**3, ge=1024**2)
    """Size in bytes of a source's buffer on disk; when it is full, the source stops reading."""

    bootstrap_servers: str | None = Field(
        None, validation_alias=AliasChoices("TAILRACE_BOOTSTRAP_SERVERS", "bootstrap_servers")
    )
    """Brokers of Kafka, `host:port` with commas between, for packs and for the page of streams. The
    variable BOOTSTRAP_SERVERS does as well."""

    kafka_sasl_enabled: bool | None = None
    """Whether brokers are told by SASL who we are: by packs, the page of streams and
    `generate --to kafka://…`. Unset is false; but then no other setting of SASL may be given."""

    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    """How brokers are told who we are."""

    kafka_sasl_username: str | None = None
    """User name for brokers."""

    kafka_sasl_password: SecretStr | None = None
    """Password for brokers."""

    kafka_tls_enabled: bool | None = None
    """Whether brokers are spoken to by TLS: by packs, the page of streams and `generate --to kafka://…`.
    Unset is false; but then no other setting of TLS may be given."""

    kafka_tls_verify_certificate: bool | None = None
    """Whether brokers' certificates must be valid. Unset is true."""

    kafka_tls_verify_hostname: bool | None = None
    """Whether a certificate must be for the host that is asked. Unset is true."""

    kafka_tls_ca_file: str | None = None
    """File of the certificates to trust, or its content, PEM. Unset: those that the system trusts."""

    kafka_tls_crt_file: str | None = None
    """File of our own certificate, or its content, PEM. Unset: none is shown to brokers."""

    kafka_tls_key_file: str | None = None
    """File of our own certificate's key, or its content, PEM. Unset: it is in the certificate's file."""

    kafka_tls_key_pass: SecretStr | None = None
    """Password of that key. Unset: the key is not locked."""

    transform_workers: int = Field(1, ge=1, le=64)
    """Processes that run transforms."""

    workers: int = Field(1, ge=1, le=64)
    """Workers of each pack: collectors that share what it reads from Kafka, each with partitions of its
    own, and processes that run the transforms behind its other sources."""

    rejected_table: str = "logs.rejected"
    """Table that keeps what could not be stored, with the reason."""

    retention_days: int = Field(30, ge=1, le=36500)
    """Days after its arrival that a row is kept."""

    packs: str = "logs"
    """Packs that run here, with spaces between: whether their tables are there is a part of `/readyz`."""

    packs_dir: Path | None = None
    """Folder of a person's own packs, beside the built-in ones."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least level of Tailrace's own messages."""

    log_format: Literal["auto", "text", "json"] = "auto"
    """Form of Tailrace's own messages; auto is text on a terminal and JSON elsewhere."""

    @model_validator(mode="after")
    def _says_how_to_reach_kafka(self) -> Self:
        """Settings of SASL and TLS are used or not, never given in vain."""
        for kind in ("SASL", "TLS"):
            switch = f"KAFKA_{kind}_ENABLED"
            given = [name for name in self._given(f"KAFKA_{kind}_") if name != switch]
            if given and getattr(self, switch.lower()) is None:
                raise ValueError(
                    f"cannot use {ENVIRONMENT_PREFIX}{given[0]}: {kind} is off unless "
                    f"{ENVIRONMENT_PREFIX}{switch} is true; set it"
                )
        if self.kafka_sasl_enabled:
            for name in ("KAFKA_SASL_MECHANISM", "KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD"):
                if not getattr(self, name.lower()):
                    raise ValueError(
                        f"cannot tell brokers who we are: {ENVIRONMENT_PREFIX}{name} is not set, and "
                        f"{ENVIRONMENT_PREFIX}KAFKA_SASL_ENABLED asks for it"
                    )
        return self

    def _given(self, prefix: str) -> list[str]:
        return [
            name.upper()
            for name in type(self).model_fields
            if name.upper().startswith(prefix) and getattr(self, name) is not None
        ]

    @property
    def clickhouse_address(self) -> str:
        """The ClickHouse that is meant: the one that was set, or the embedded engine's."""
        return self.clickhouse_url or f"http://{self.engine_host}:{self.engine_port}"

    @property
    def collector_address(self) -> str:
        """Where the collector's own health and metrics pages are."""
        host = self.collector_host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.collector_port}"

    @classmethod
    def read(cls, **flags: object) -> Self:
        """Settings from flags (those that are not None), the environment and the defaults.

        Raises UsageError that names every setting with a wrong value.
        """
        given = {name: value for name, value in flags.items() if value is not None}
        try:
            return cls(**given)  # type: ignore[arg-type]
        except ValidationError as error:
            raise UsageError("\n".join(_problem(item) for item in error.errors())) from error

    def as_environment(self) -> dict[str, str]:
        """These settings as environment variables, for a child process."""
        values: dict[str, str] = {}
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, SecretStr):
                value = value.get_secret_value()
            if value is not None:
                values[f"{ENVIRONMENT_PREFIX}{name.upper()}"] = str(value)
        return values


def _problem(item: ErrorDetails) -> str:
    if not item["loc"]:  # several settings together are wrong, and the message names them
        return item["msg"].removeprefix("Value error, ")
    name = f"{ENVIRONMENT_PREFIX}{str(item['loc'][0]).upper()}"
    return f"cannot use {name}={item['input']!r}: {item['msg']}"

"""How clients of Kafka prove who they are and whom they trust, as librdkafka wants to be told.

Components of a pipeline say it in their options `sasl` and `tls`, everything else (packs, the page of
streams, `generate --to kafka://…`) in the settings `kafka_sasl_…` and `kafka_tls_…`; both have the same
names and mean the same. Passwords stay secret until librdkafka gets them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from pydantic import SecretStr

from tailrace.errors import UsageError
from tailrace.settings import Settings

SILENT: Final = 2
"""librdkafka writes to standard error; what matters comes as an error, and is logged by us."""

PEM_MARK: Final = "-----BEGIN "
FILES: Final = ("ca_file", "crt_file", "key_file")


@dataclass(frozen=True)
class Sasl:
    """Who we are."""

    mechanism: str | None = None
    username: str | None = None
    password: SecretStr | None = None


@dataclass(frozen=True)
class Tls:
    """Whom we trust, and the certificate that we show. Files may be given by their content, PEM."""

    verify_certificate: bool = True
    verify_hostname: bool = True
    ca_file: str | None = None
    crt_file: str | None = None
    key_file: str | None = None
    key_pass: SecretStr | None = None


def security_settings(sasl: Sasl | None, tls: Tls | None) -> dict[str, str]:
    """What both say, by librdkafka's names; None is: not used."""
    encrypted = "plaintext" if tls is None else "ssl"
    settings = {"security.protocol": encrypted if sasl is None else f"sasl_{encrypted}"}
    if sasl is not None:
        settings |= _given(
            {
                "sasl.mechanism": sasl.mechanism,
                "sasl.username": sasl.username,
                "sasl.password": sasl.password,
            }
        )
    return settings if tls is None else settings | _tls(tls)


def security_of(settings: Settings) -> dict[str, str]:
    """What the settings `kafka_sasl_…` and `kafka_tls_…` say, by librdkafka's names."""
    sasl = Sasl(**_fields(settings, "kafka_sasl_"))
    tls = Tls(**_fields(settings, "kafka_tls_"))
    return security_settings(
        sasl if settings.kafka_sasl_enabled else None, tls if settings.kafka_tls_enabled else None
    )


def check_security(settings: Settings) -> None:
    """Raise UsageError where SASL or TLS cannot be used as the settings say. Nobody is connected to."""
    if not (settings.kafka_sasl_enabled or settings.kafka_tls_enabled):
        return
    for name, value in _fields(settings, "kafka_tls_").items():
        if name in FILES and PEM_MARK not in value:
            _check_file(f"TAILRACE_KAFKA_TLS_{name.upper()}", value)
    try:
        AdminClient({**security_of(settings), "log_level": SILENT})
    except KafkaException as error:
        raise UsageError(
            "cannot use the settings TAILRACE_KAFKA_SASL_… and TAILRACE_KAFKA_TLS_…: "
            f"{explain(error)}. docs/streams.md says what each is"
        ) from error


def explain(error: KafkaException) -> str:
    """What librdkafka says, without its numbers."""
    return str(error.args[0].str())


def _fields(settings: Settings, prefix: str) -> dict[str, Any]:
    """The settings of this prefix that are given, without it; whether they are meant is not asked."""
    return {
        name.removeprefix(prefix): value
        for name in type(settings).model_fields
        if name.startswith(prefix)
        and name != f"{prefix}enabled"
        and (value := getattr(settings, name)) is not None
    }


def _check_file(setting: str, path: str) -> None:
    """librdkafka does not say which file it cannot read, and takes one without certificates."""
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise UsageError(
            f"cannot read {setting}={path!r}: {error.strerror}. Give a file in PEM, or its content"
        ) from error
    if PEM_MARK.encode() not in content:
        raise UsageError(
            f"cannot use {setting}={path!r}: it is not PEM, in which a line begins with {PEM_MARK!r}"
        )


def _tls(tls: Tls) -> dict[str, str]:
    settings: dict[str, str | SecretStr | None] = {
        "enable.ssl.certificate.verification": str(tls.verify_certificate).lower(),
        "ssl.endpoint.identification.algorithm": "https" if tls.verify_hostname else "none",
        "ssl.key.password": tls.key_pass,
    }
    files = {"ca": tls.ca_file, "certificate": tls.crt_file, "key": tls.key_file}
    for name, value in files.items():
        kind = "pem" if value and PEM_MARK in value else "location"
        settings[f"ssl.{name}.{kind}"] = value
    return _given(settings)


def _given(values: Mapping[str, str | SecretStr | None]) -> dict[str, str]:
    return {
        name: value.get_secret_value() if isinstance(value, SecretStr) else value
        for name, value in values.items()
        if value is not None
    }

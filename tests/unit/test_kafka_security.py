"""How clients of Kafka prove who they are: settings, what is wrong with them, and that nothing is told."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tailrace.collect.kafka import KafkaConnection, KafkaSasl, KafkaTls
from tailrace.errors import UsageError
from tailrace.kafka import check_security, security_of
from tailrace.packs import find_packs
from tailrace.settings import Settings

LOGIN = {
    "kafka_sasl_enabled": True,
    "kafka_sasl_mechanism": "SCRAM-SHA-512",
    "kafka_sasl_username": "tail",
    "kafka_sasl_password": "sesame",
}


def test_settings_have_the_names_of_the_options_in_pipelines() -> None:
    for kind, options in (("sasl", KafkaSasl), ("tls", KafkaTls)):
        ours = {name for name in Settings.model_fields if name.startswith(f"kafka_{kind}_")}
        assert ours == {f"kafka_{kind}_{name}" for name in options.model_fields}


@pytest.mark.parametrize(
    "tls",
    [
        {},
        {"enabled": True},
        {"enabled": True, "verify_hostname": False, "ca_file": "/a", "key_pass": "secret"},
        {
            "enabled": True,
            "verify_certificate": False,
            "crt_file": "-----BEGIN C",
            "key_file": "/k",
        },
    ],
)
@pytest.mark.parametrize("sasl", [{}, {"mechanism": "PLAIN", "username": "u", "password": "p"}])
def test_settings_mean_what_the_options_in_pipelines_mean(
    sasl: dict[str, Any], tls: dict[str, Any]
) -> None:
    sasl = {"enabled": True, **sasl} if sasl else {}
    given = {f"kafka_sasl_{name}": value for name, value in sasl.items()}
    given |= {f"kafka_tls_{name}": value for name, value in tls.items()}
    options = KafkaConnection(
        bootstrap_servers="a:1", sasl=KafkaSasl(**sasl), tls=KafkaTls(**tls)
    ).connection_settings()
    assert security_of(Settings.read(**given)).items() <= options.items()


def test_what_is_off_is_not_used() -> None:
    settings = Settings.read(**{**LOGIN, "kafka_sasl_enabled": False}, kafka_tls_enabled=False)
    assert security_of(settings) == {"security.protocol": "plaintext"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"kafka_sasl_username": "tail"}, "TAILRACE_KAFKA_SASL_ENABLED is true; set it"),
        ({"kafka_tls_ca_file": "/ca.pem"}, "TAILRACE_KAFKA_TLS_ENABLED is true; set it"),
        ({**LOGIN, "kafka_sasl_password": None}, "TAILRACE_KAFKA_SASL_PASSWORD is not set"),
        ({**LOGIN, "kafka_sasl_mechanism": None}, "TAILRACE_KAFKA_SASL_MECHANISM is not set"),
        ({**LOGIN, "kafka_sasl_mechanism": "GSSAPI"}, "TAILRACE_KAFKA_SASL_MECHANISM='GSSAPI'"),
        ({"kafka_tls_enabled": "maybe"}, "TAILRACE_KAFKA_TLS_ENABLED='maybe'"),
    ],
)
def test_settings_that_make_no_sense_are_said_by_name(given: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match="^cannot ") as refused:
        Settings.read(**given)
    assert said in str(refused.value)
    assert "sesame" not in str(refused.value)


def test_files_that_are_not_there_are_said(tmp_path: Path) -> None:
    missing = tmp_path / "ca.pem"
    settings = Settings.read(**LOGIN, kafka_tls_enabled=True, kafka_tls_ca_file=str(missing))
    with pytest.raises(UsageError, match="TAILRACE_KAFKA_TLS_CA_FILE=.*: No such file") as refused:
        check_security(settings)
    assert str(missing) in str(refused.value)


def test_files_that_are_none_of_certificates_are_said(tmp_path: Path) -> None:
    wrong = tmp_path / "ca.pem"
    wrong.write_text("no certificate")
    settings = Settings.read(**LOGIN, kafka_tls_enabled=True, kafka_tls_ca_file=str(wrong))
    with pytest.raises(UsageError, match="TAILRACE_KAFKA_TLS_CA_FILE=.*: it is not PEM"):
        check_security(settings)


def test_passwords_are_not_told() -> None:
    settings = Settings.read(**LOGIN, kafka_tls_enabled=True, kafka_tls_key_pass="locked")
    assert "sesame" not in repr(settings)
    assert "locked" not in repr(settings)
    assert settings.as_environment()["TAILRACE_KAFKA_SASL_PASSWORD"] == "sesame"


def test_children_get_the_same_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    given = Settings.read(**LOGIN, kafka_tls_enabled=True, kafka_tls_verify_hostname=False)
    for name, value in given.as_environment().items():
        monkeypatch.setenv(name, value)
    assert Settings.read() == given


def test_the_pack_reads_with_them() -> None:
    settings = Settings.read(
        **LOGIN, bootstrap_servers="a:1", kafka_tls_enabled=True, kafka_tls_ca_file="/ca.pem"
    )
    [pack] = find_packs(settings, ["collatz"])
    source = yaml.safe_load(pack.render_pipeline(settings))["sources"]["collatz_kafka"]
    assert source["sasl"] == {
        "enabled": True,
        "mechanism": "SCRAM-SHA-512",
        "username": "tail",
        "password": "sesame",
    }
    assert source["tls"] == {"enabled": True, "ca_file": "/ca.pem"}
    [plain] = find_packs(Settings.read(), ["collatz"])
    rendered = yaml.safe_load(plain.render_pipeline(Settings.read(bootstrap_servers="a:1")))
    assert not {"sasl", "tls"} & rendered["sources"]["collatz_kafka"].keys()

"""What a request asks for, who may ask, and what an error looks like."""

from base64 import b64encode

import pytest
from pydantic import SecretStr

from tailrace.engine.auth import Guard
from tailrace.engine.exceptions import ClickHouseError
from tailrace.engine.request import Request
from tailrace.errors import UsageError
from tailrace.settings import Settings


def parse(target: str, headers: dict[str, str] | None = None, method: str = "POST") -> Request:
    return Request.parse(method, target.encode(), headers or {})


def test_options_parameters_and_settings_are_told_apart() -> None:
    request = parse("/?query=SELECT+1&param_x=%27a%26b&max_threads=3&database=d&session_id=s")
    assert request.query == b"SELECT 1"
    assert request.params == {"x": "'a&b"}
    assert request.settings == {"max_threads": "3"}
    assert request.options["database"] == "d"


def test_a_query_in_the_url_may_be_any_bytes() -> None:
    assert parse("/?query=SELECT+%27%FF%00%C3%A9%27").query == b"SELECT '\xff\x00\xc3\xa9'"


def test_settings_may_end_like_a_tables_description() -> None:
    assert parse("/?date_time_output_format=iso").settings == {"date_time_output_format": "iso"}


def test_a_form_describes_its_tables() -> None:
    headers = {"content-type": "multipart/form-data; boundary=x"}
    request = parse("/?t_format=CSV&t_structure=a+UInt8&max_threads=1", headers)
    assert request.tables == {"t": {"format": "CSV", "structure": "a UInt8"}}
    assert request.settings == {"max_threads": "1"}


def test_headers_choose_database_and_format() -> None:
    request = parse("/", {"x-clickhouse-database": "d", "x-clickhouse-format": "CSV"})
    assert (request.options["database"], request.default_format) == ("d", "CSV")


@pytest.mark.parametrize(
    ("value", "on"), [("1", True), ("true", True), ("0", False), ("", False), ("false", False)]
)
def test_flags(value: str, on: bool) -> None:
    assert parse(f"/?compress={value}").flag("compress") is on


@pytest.mark.parametrize("value", ["x", "-1", "99999"])
def test_a_session_cannot_last_for_ever(value: str) -> None:
    with pytest.raises(ClickHouseError, match="INVALID_SESSION_TIMEOUT"):
        _ = parse(f"/?session_timeout={value}").session_timeout_secs


def guard(user: str | None = None, password: str | None = None, host: str = "127.0.0.1") -> Guard:
    secret = None if password is None else SecretStr(password)
    return Guard(Settings.read(clickhouse_user=user, clickhouse_password=secret, engine_host=host))


def basic(user: str, password: str) -> dict[str, str]:
    return {"authorization": "Basic " + b64encode(f"{user}:{password}".encode()).decode()}


@pytest.mark.parametrize(
    "request_",
    [
        parse("/", basic("u", "p:w")),
        parse("/", {"x-clickhouse-user": "u", "x-clickhouse-key": "p:w"}),
        parse("/?user=u&password=p:w"),
    ],
)
def test_the_right_password_gets_in(request_: Request) -> None:
    guard("u", "p:w").check(request_)


@pytest.mark.parametrize(
    "request_",
    [
        parse("/"),
        parse("/", basic("u", "")),
        parse("/", basic("U", "p")),
        parse("/", basic("default", "p")),
        parse("/", {"authorization": "Basic !"}),
        parse("/", {"authorization": "Bearer p"}),
        parse("/", {"x-clickhouse-user": "u", **basic("u", "p")}),
        parse("/?user=u&password=q"),
    ],
)
def test_anything_else_does_not(request_: Request) -> None:
    with pytest.raises(ClickHouseError, match="AUTHENTICATION_FAILED") as caught:
        guard("u", "p").check(request_)
    assert (caught.value.code, caught.value.http_status) == (516, 403)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "example.org"])  # noqa: S104
def test_other_addresses_want_a_password(host: str) -> None:
    with pytest.raises(UsageError, match="TAILRACE_CLICKHOUSE_PASSWORD"):
        guard(host=host)
    with pytest.raises(UsageError, match="TAILRACE_CLICKHOUSE_PASSWORD"):
        guard(user="u", host=host)
    guard("u", "p", host)


@pytest.mark.parametrize(
    ("headers", "welcome"),
    [
        ({}, True),
        ({"host": "127.0.0.1:8123"}, True),
        ({"host": "[::1]:8123"}, True),
        ({"host": "localhost", "origin": "http://localhost:8000"}, True),
        ({"host": "evil.example"}, False),
        ({"host": "localhost", "origin": "https://evil.example"}, False),
        ({"host": "localhost", "origin": "null"}, False),
        ({"host": "localhost", "sec-fetch-site": "cross-site"}, False),
        ({"host": "localhost", "sec-fetch-site": "none"}, True),
    ],
)
def test_without_a_password_only_this_machines_names_are_trusted(
    headers: dict[str, str], welcome: bool
) -> None:
    if welcome:
        guard().check(parse("/", headers))
        return
    with pytest.raises(ClickHouseError, match="ACCESS_DENIED"):
        guard().check(parse("/", headers))


@pytest.mark.parametrize(
    ("text", "code", "status", "shown"),
    [
        ("Code: 60. DB::Exception: No t. (UNKNOWN_TABLE)", 60, 404, "No t."),
        ("Code: 73. DB::Exception: Code: 73. DB::Exception: No x. (UNKNOWN_FORMAT) "
         "(version 26.9.2.1). (UNKNOWN_FORMAT)", 73, 404, "No x."),
        ("Code: 117. DB::Exception: Bad: (in file/uri /data/tmp/5f): While executing "
         "ParallelParsingBlockInputFormat: While executing File. (INCORRECT_DATA)", 117, 400,
         "Bad: While executing ParallelParsingBlockInputFormat."),
        ("something else", 1002, 500, "something else"),
    ],
)  # fmt: skip
def test_the_engines_errors_are_told_in_a_servers_words(
    text: str, code: int, status: int, shown: str
) -> None:
    error = ClickHouseError.from_engine(text)
    assert (error.code, error.http_status) == (code, status)
    assert str(error) == f"Code: {code}. DB::Exception: {shown} ({error.name})"
    assert error.as_text("1.2").endswith(" (version 1.2 (official build))\n")

"""Events as bytes: codecs, fields, timestamps, framings."""

from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from tailrace.collect.encoding import Encoding, SinkFraming, StreamEncoder
from tailrace.collect.fields import split_path
from tailrace.collect.transform import Event, Timestamp

EVENT: Event = {
    "message": "hello world",
    "n": 1,
    "ok": True,
    "none": None,
    "tags": ["a", "b"],
    "k8s": {"pod": "p 1", "ns": {"a.b": "x"}},
    "timestamp": Timestamp("2026-01-02T03:04:05.678901234Z"),
}


def encoded(framing: dict[str, Any] | None = None, **encoding: Any) -> bytes:
    encoder = StreamEncoder(
        Encoding.model_validate(encoding),
        SinkFraming.model_validate(framing or {"method": "newline_delimited"}),
    )
    before = orjson.dumps(EVENT)
    result = encoder.encode([EVENT])
    assert orjson.dumps(EVENT) == before
    return result


def test_json_is_the_event() -> None:
    assert encoded(codec="json") == orjson.dumps(EVENT) + b"\n"
    assert encoded(codec="json", json={"pretty": True}).startswith(b'{\n  "message"')


@pytest.mark.parametrize("codec", ["text", "raw_message"])
def test_text_is_the_message(codec: str) -> None:
    assert encoded(codec=codec) == b"hello world\n"


def test_text_of_what_has_no_message_is_empty() -> None:
    encoder = StreamEncoder(Encoding(codec="text"))
    assert encoder.encode([{"a": 1}, {"message": 5}]) == b"\n5\n"


def test_logfmt_flattens_and_quotes() -> None:
    line = encoded(codec="logfmt", except_fields=["timestamp"]).decode()
    assert line == (
        'k8s.ns.a.b=x k8s.pod="p 1" message="hello world" n=1 none=null ok tags.0=a tags.1=b\n'
    )


def test_csv_has_the_columns_asked_for() -> None:
    line = encoded(codec="csv", csv={"fields": ["n", "k8s.pod", "nothing", "tags"]})
    assert line == b"1,p 1,,\n"


def test_fields_are_chosen_by_path() -> None:
    only = encoded(codec="json", only_fields=["n", "k8s.pod", '.k8s.ns."a.b"', "nothing"])
    assert orjson.loads(only) == {"n": 1, "k8s": {"pod": "p 1", "ns": {"a.b": "x"}}}
    but = encoded(codec="json", only_fields=["n", "k8s"], except_fields=["k8s.pod", "k8s.x.y"])
    assert orjson.loads(but) == {"n": 1, "k8s": {"ns": {"a.b": "x"}}}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rfc3339", "2026-01-02T03:04:05.678901234Z"),
        ("unix", 1767323045),
        ("unix_ms", 1767323045678),
        ("unix_us", 1767323045678901),
        ("unix_ns", 1767323045678901234),
        ("unix_float", 1767323045.678901),
    ],
)
def test_timestamps_are_written_as_asked(name: str, value: object) -> None:
    line = encoded(codec="json", only_fields=["timestamp"], timestamp_format=name)
    assert orjson.loads(line) == {"timestamp": value}


@pytest.mark.parametrize(
    ("framing", "expected"),
    [
        ({"method": "bytes"}, b"hello world"),
        ({"method": "length_delimited"}, b"\0\0\0\x0bhello world"),
        (
            {"method": "character_delimited", "character_delimited": {"delimiter": "|"}},
            b"hello world|",
        ),
    ],
)
def test_framings(framing: dict[str, Any], expected: bytes) -> None:
    assert encoded(framing, codec="text") == expected


@pytest.mark.parametrize("text", ["", ".", "a..b", "a[0]", 'a."b', "a."])
def test_what_is_no_path_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="cannot read"):
        split_path(text)


@pytest.mark.parametrize(
    "options", [{"codec": "text", "json": {}}, {"codec": "json", "csv": {"fields": ["a"]}}, {}]
)
def test_options_of_another_codec_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Encoding.model_validate(options)

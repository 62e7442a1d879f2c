"""What becomes of messages: lines as they are, or envelopes with fields."""

from typing import Any

import pytest
from pydantic import ValidationError

from tailrace.collect.codecs import CODECS
from tailrace.collect.envelope import unpack
from tailrace.collect.source import Frames
from tailrace.collect.sources.kafka.config import KafkaConfig
from tailrace.collect.sources.kafka.messages import EnvelopeRenderer, renderer
from tests.unit.collect_kafka.kafka_support import FakeMessage

NO_FIELDS = dict.fromkeys(
    ("key_field", "topic_key", "partition_key", "offset_key", "headers_key"), ""
)
AS_THEY_ARE = {**NO_FIELDS, "decoding": {"codec": "json"}}


def config(**options: Any) -> KafkaConfig:
    return KafkaConfig.model_validate(
        {"bootstrap_servers": "127.0.0.1:1", "group_id": "g", "topics": ["t"], **options}
    )


def render(*values: bytes | None, **options: Any) -> list[Frames]:
    made = renderer(config(**options), CODECS["json"])
    return made([FakeMessage(number, value) for number, value in enumerate(values)])


def test_json_without_fields_goes_as_it_came() -> None:
    (part,) = render(b'{"a": 1}', b'{"b":12345678901234567890123}', None, b"", **AS_THEY_ARE)
    assert part.payload == b'{"a": 1}\n{"b":12345678901234567890123}\n'
    assert (part.count, part.origin.peer, part.enveloped) == (2, "t/0", False)


def test_what_is_no_object_stands_apart_and_says_where_it_was() -> None:
    good, bad, more, worse = render(
        b'{"a":1}', b"x\ny", b'{"a":2}', b'[{"a":3}]', b" ", b"7", **AS_THEY_ARE
    )
    assert (good.payload, good.origin.peer) == (b'{"a":1}\n', "t/0")
    assert (bad.payload, bad.count, bad.origin.peer) == (b"x y\n", 1, "t/0@1")
    assert (more.payload, more.count) == (b'{"a":2}\n[{"a":3}]\n', 2)
    assert worse.origin.peer == "t/0@5"


@pytest.mark.parametrize("values", [(b'{"a":1', b'"b":2},{}'), (b"{},{}", b""), (b"{}],[{}", b" ")])
def test_pieces_of_json_do_not_pass_for_objects(values: tuple[bytes, ...]) -> None:
    parts = render(*values, **AS_THEY_ARE)
    assert all("@" in part.origin.peer for part in parts)


def test_json_in_several_lines_becomes_one() -> None:
    (part,) = render(b'{\n"a": "x\\ny"\n}', **AS_THEY_ARE)
    assert part.payload == b'{ "a": "x\\ny" }\n'


def test_fields_are_put_into_envelopes() -> None:
    message = FakeMessage(7, b"hello", b"key\xff", (("h", b"1"), ("none", None)), (1, 1234))
    (part,) = EnvelopeRenderer(config(offset_key="at"))([message])
    assert part.enveloped
    found = unpack(part.payload)
    assert (found.frame, found.peer, found.timestamp_ms) == (b"hello", "t/0@7", 1234)
    assert found.fields == {
        "message_key": "key\ufffd",
        "topic": "t",
        "partition": 0,
        "at": 7,
        "headers": {"h": "1"},
    }


def test_fields_that_are_not_wanted_are_left_out() -> None:
    message = FakeMessage(7, b"hello", sent_at=(0, -1))
    (part,) = renderer(config(**NO_FIELDS), CODECS["bytes"])([message])
    found = unpack(part.payload)
    assert (found.fields, found.timestamp_ms) == ({}, None)


def test_a_message_may_be_cut_into_lines() -> None:
    (part,) = render(b"one\r\n\ntwo\n", framing={"method": "newline_delimited"})
    assert [unpack(line).frame for line in part.payload.splitlines()] == [b"one", b"two"]
    assert part.count == 2


def test_messages_without_a_value_are_no_events() -> None:
    assert render(None, b"") == []
    assert render(None, b"", **AS_THEY_ARE) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"librdkafka_options": {"enable.auto.commit": "true"}}, "when its message is delivered"),
        ({"librdkafka_options": {"no.such.thing": "1"}}, "no.such.thing"),
        ({"librdkafka_options": {"error_cb": "1"}}, "librdkafka refuses it"),
        ({"session_timeout_ms": 5000, "drain_timeout_ms": 5000}, "less than session_timeout_ms"),
        ({"topics": []}, "at least 1 item"),
        ({"tls": {"enabled": True, "ca_file": "/no/such/file"}}, "/no/such/file"),
        ({"auto_offset_reset": "first"}, "smallest"),
    ],
)
def test_what_cannot_be_used_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        config(**options)


def test_the_options_become_settings_of_librdkafka() -> None:
    settings = config(
        sasl={"enabled": True, "mechanism": "PLAIN", "username": "u", "password": "p"},
        tls={"enabled": True, "verify_hostname": False},
        librdkafka_options={"client.id": "mine"},
    ).settings()
    assert settings["security.protocol"] == "sasl_ssl"
    assert (settings["sasl.username"], settings["sasl.password"]) == ("u", "p")
    assert settings["ssl.endpoint.identification.algorithm"] == "none"
    assert settings["client.id"] == "mine"
    assert settings["partition.assignment.strategy"] == "cooperative-sticky"
    assert settings["enable.auto.commit"] == "false"


def test_a_full_queue_is_fetched_into_again_before_it_is_empty() -> None:
    # A reader takes the 100,000 messages that librdkafka fetches ahead in a good tenth of a second.
    settings = config(librdkafka_options={"queued.min.messages": "5"}).settings()
    assert int(settings["fetch.queue.backoff.ms"]) <= 50
    assert settings["queued.min.messages"] == "5"
    own = config(librdkafka_options={"fetch.queue.backoff.ms": "700"}).settings()
    assert own["fetch.queue.backoff.ms"] == "700"


@pytest.mark.parametrize(
    ("sasl", "tls", "protocol"),
    [(False, False, "plaintext"), (True, False, "sasl_plaintext"), (False, True, "ssl")],
)
def test_the_protocol_follows_from_what_is_enabled(sasl: bool, tls: bool, protocol: str) -> None:
    login = {"enabled": sasl, "mechanism": "PLAIN", "username": "u", "password": "p"}
    settings = config(sasl=login, tls={"enabled": tls}).settings()
    assert settings["security.protocol"] == protocol

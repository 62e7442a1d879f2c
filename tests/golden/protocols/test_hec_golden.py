"""What bodies of Splunk's HTTP event collector become: the samples of `hec.yaml`."""

import json
import math
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tailrace.collect.codecs import CODECS
from tailrace.collect.hec import read_envelopes

CASES = yaml.safe_load((Path(__file__).parent / "hec.yaml").read_text())


def events_of(lines: list[bytes]) -> list[dict[str, Any]]:
    assert not any(b"\n" in line for line in lines)
    events = [event for line in lines for event in CODECS["splunk_hec"](line)]
    read: list[dict[str, Any]] = orjson.loads(orjson.dumps(events))
    return read


@pytest.mark.parametrize("case", CASES, ids=[case["about"] for case in CASES])
def test_sample(case: dict[str, Any]) -> None:
    found = read_envelopes(case["body"].encode())
    assert events_of(found.lines) == case["events"]
    rejected = [[error.code, error.reason] for _, error in found.rejected]
    assert rejected == case.get("rejected", [])
    assert found.first_bad == case.get("first_bad", 0)


@given(st.binary(), st.booleans())
def test_no_bytes_harm_what_came_before_them(rest: bytes, in_a_line: bool) -> None:
    found = read_envelopes(b'{"event":"good"}' + b"\n" * in_a_line + rest)
    assert events_of(found.lines)[0] == {"message": "good"}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats().filter(math.isfinite) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
NAMES = ["event", "time", "host", "fields", "index", "channel"]


@given(st.dictionaries(st.sampled_from(NAMES), json_values))
def test_an_envelope_is_an_event_or_is_rejected(envelope: dict[str, Any]) -> None:
    body = json.dumps(envelope) + '{"event":"good"}'
    found = read_envelopes(body.encode("utf-8", "surrogatepass"))
    assert events_of(found.lines)[-1]["message"] == "good"
    assert len(found.lines) + len(found.rejected) == 2


def test_deep_json_is_rejected_not_followed() -> None:
    for depth in (200, 100_000):
        (rejected,) = read_envelopes(b'{"event":' + b"[" * depth + b"]" * depth + b"}").rejected
        assert rejected[1].code == 6

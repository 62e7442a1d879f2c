"""What bodies of line protocol become: the samples of `influx.yaml`."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from influxdb_client.client.write.point import Point

from tailrace.web.intake.influx_lines import read_lines

CASES = yaml.safe_load((Path(__file__).parent / "influx.yaml").read_text())


def events_of(payload: bytes) -> list[dict[str, Any]]:
    *lines, rest = payload.split(b"\n")
    assert rest == b""
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize("case", CASES, ids=[case["about"] for case in CASES])
def test_sample(case: dict[str, Any]) -> None:
    found = read_lines(case["body"].encode(), case.get("nanos_per_unit", 1))
    assert events_of(found.payload) == case["events"]
    assert found.count == len(case["events"])
    assert found.errors == case.get("errors", [])
    assert found.dropped == case.get("dropped", 0)


@given(st.text(alphabet=st.sampled_from('m,= \\"\n1i\rf#ü\t-.e\x0b')) | st.binary())
def test_no_text_harms_the_lines_around_it(given_text: str | bytes) -> None:
    rest = given_text.encode() if isinstance(given_text, str) else given_text
    body = b"good f=1 1\n" + rest + b"\ngood f=2 2\n"
    found = read_lines(body, 1)
    events = events_of(found.payload)
    good = [event for event in events if event["source"] == "good"]
    assert good[0]["f"] == 1.0
    # A quote that is open may take the next line in, as it would for Influx.
    assert good[-1]["f"] == 2.0 or b'"' in rest


names = st.text(
    st.characters(blacklist_categories=["Cs", "Cc", "Zs", "Zl", "Zp"], blacklist_characters="\\#"),
    min_size=1,
)
values = (
    st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.booleans()
    | st.text()
)


@given(
    names,
    st.dictionaries(names, names, max_size=4),
    st.dictionaries(names, values, min_size=1, max_size=4),
    st.integers(0, 2**62),
)
def test_what_influxs_own_client_writes_comes_out_whole(
    measurement: str, tags: dict[str, str], fields: dict[str, Any], nanos: int
) -> None:
    point = Point(measurement).time(nanos)  # type: ignore[no-untyped-call]
    for name, text in tags.items():
        point.tag(name, text)
    for name, value in fields.items():
        point.field(name, value)
    line = point.to_line_protocol()
    found = read_lines(f"{line}\n{line}\n".encode(), 1)
    assert (found.count, found.errors) == (2, [])
    for event in events_of(found.payload):
        assert event["source"] == measurement
        present = list(event.values())
        for value in (*tags.values(), *fields.values()):
            assert value in present

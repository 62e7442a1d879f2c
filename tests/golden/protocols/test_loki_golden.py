"""What push requests of Loki become, in JSON and in protobuf: the samples of `loki.yaml`."""

import json
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tailrace.web.intake.lines import BadBodyError, TooLargeError
from tailrace.web.intake.loki_push import read_json, read_labels, read_protobuf
from tests.golden.protocols.loki_wire import push_request, snap

CASES = yaml.safe_load((Path(__file__).parent / "loki.yaml").read_text())
LIMIT = 1_000_000


@pytest.mark.parametrize("case", CASES, ids=[case["about"] for case in CASES])
def test_sample(case: dict[str, Any]) -> None:
    body = orjson.dumps(case["body"])
    if "error" in case:
        with pytest.raises(BadBodyError) as raised:
            read_json(body)
        assert str(raised.value).startswith(case["error"])
        return
    *lines, rest = read_json(body).payload.decode().split("\n")
    assert rest == ""
    if "lines" in case:
        assert lines == case["lines"]
    else:
        assert [json.loads(line) for line in lines] == case["events"]


def test_protobuf_is_the_same_as_json() -> None:
    entries = [
        (1763808135, 118000001, b"no stock", {"user": "7"}),
        (1763808135, 118000002, b'{"a":1}', {}),
        (0, 0, b"no time, no \xff UTF-8", {}),
    ]
    body = push_request({'{app="shop", level="error"}': entries})
    events = [json.loads(line) for line in read_protobuf(snap(body), LIMIT).payload.splitlines()]
    labels = {"app": "shop", "level": "error"}
    assert events == [
        {"timestamp": "1763808135118000001", "user": "7", **labels, "message": "no stock"},
        {"timestamp": "1763808135118000002", **labels, "a": 1},
        {**labels, "message": "no time, no \ufffd UTF-8"},
    ]


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        (b"{}", {}),
        (b" { } ", {}),
        (b'{app="shop"}', {"app": "shop"}),
        (b'{a="1",b="2", c = "3" , }', {"a": "1", "b": "2", "c": "3"}),
        (rb'{a="say \"a, b}\" \\ \n\t"}', {"a": 'say "a, b}" \\ \n\t'}),
        (rb'{a="\u00fc\xc3\xbc\303\274\U0001f600"}', {"a": "üüü😀"}),
        (rb'{a="\xff\ud800\U99999999"}', {"a": "\ufffd\ufffd\ufffd"}),
        ('{a="ü"}'.encode(), {"a": "ü"}),
        (b'{"service.name"="x", a=`\\n`}', {"service.name": "x", "a": "\\n"}),
    ],
)
def test_labels(text: bytes, labels: dict[str, str]) -> None:
    assert read_labels(text) == labels


@pytest.mark.parametrize(
    "text",
    [b"", b"app", b'{app="shop"', b"{app=shop}", b'{app="shop"} more', b'{="a"}', b'}{a="b"}'],
)
def test_what_are_no_labels(text: bytes) -> None:
    with pytest.raises(BadBodyError, match="cannot read the labels"):
        read_labels(text)


def test_a_body_that_is_no_protobuf_is_refused() -> None:
    for body in (b"", b"\xff\xff", snap(b"\x0a\xff"), b'{"streams":[]}'):
        with pytest.raises(BadBodyError, match="cannot"):
            read_protobuf(body, LIMIT)
    with pytest.raises(TooLargeError, match="100 bytes|more than 100"):
        read_protobuf(snap(bytes(101)), 100)


@pytest.mark.parametrize("depth", [300, 1000, 100_000])
def test_deep_json_is_refused_or_text(depth: int) -> None:
    deep = b"[" * depth + b"]" * depth
    for stream in (
        deep,
        b'{"stream":%b}' % deep,
        b'{"stream":{"a":%b}, "values":[["1","x"]]}' % deep,
        b'{"values":%b}' % deep,
        b'{"values":[["1","x",{"a":%b}]]}' % deep,
    ):
        with pytest.raises(BadBodyError, match="cannot"):
            read_json(b'{"streams":[%b]}' % stream)
    line = f'{{"a":{deep.decode()}}}'
    (event,) = read_json(
        orjson.dumps({"streams": [{"values": [["1", line]]}]})
    ).payload.splitlines()
    assert orjson.loads(event)["message"] == line


def test_many_brackets_that_are_not_deep_are_json() -> None:
    line = f'{{"a":[{",".join(["[1]"] * 200)}]}}'
    (event,) = read_json(
        orjson.dumps({"streams": [{"values": [["1", line]]}]})
    ).payload.splitlines()
    assert orjson.loads(event)["a"] == [[1]] * 200


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["streams", "stream", "values", "a"]), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(json_values)
def test_any_json_is_read_or_refused(value: object) -> None:
    try:
        found = read_json(orjson.dumps({"streams": [{"stream": value, "values": value}]}))
    except BadBodyError:
        return
    assert all(json.loads(line) for line in found.payload.split(b"\n")[:-1])


@given(st.binary())
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    for read in (read_json, lambda given: read_protobuf(snap(given), LIMIT)):
        try:
            found = read(body)
        except BadBodyError:
            continue
        assert all(json.loads(line) for line in found.payload.split(b"\n")[:-1])


names = st.sampled_from(["timestamp", "message", "level", "labels.level", "a"])
own_fields = st.dictionaries(names, st.text(), min_size=1)
lines = st.text() | st.builds(json.dumps, own_fields)
texts = st.dictionaries(names, st.text())


@given(texts, st.lists(st.tuples(st.integers(1, 2**63 - 1), lines, texts)))
def test_no_line_and_no_value_is_lost(
    labels: dict[str, str], entries: list[tuple[int, str, dict[str, str]]]
) -> None:
    values = [[str(nanos), line, metadata] for nanos, line, metadata in entries]
    body = orjson.dumps({"streams": [{"stream": labels, "values": values}]})
    found = read_json(body).payload.split(b"\n")[:-1]
    assert len(found) == len(entries)
    for text, (_, line, metadata) in zip(found, entries, strict=True):
        pairs = json.loads(text, object_pairs_hook=list)
        present = [value for _, value in pairs]
        assert pairs[0][0] == "timestamp"
        wanted = [*labels.values(), *metadata.values()]
        own = _own(line)
        wanted += list(own.values()) if own else [line]
        assert set(wanted) <= set(present)


def _own(line: str) -> dict[str, str]:
    try:
        value = json.loads(line)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}

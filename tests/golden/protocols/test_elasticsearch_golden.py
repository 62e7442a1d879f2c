"""What bodies of `_bulk` become, and what their senders hear: the samples of the YAML file."""

import json
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tailrace.web.intake import elasticsearch_bulk
from tailrace.web.intake.elasticsearch_bulk import AnswerFilter, Bulk, read_bulk
from tailrace.web.intake.lines import BadBodyError

CASES = yaml.safe_load((Path(__file__).parent / "elasticsearch_bulk.yaml").read_text())


def read(body: bytes, index: str = "", filter_path: str = "") -> Bulk:
    return read_bulk(body, index, AnswerFilter(filter_path), "t")


@pytest.mark.parametrize("case", CASES, ids=[case["about"] for case in CASES])
def test_sample(case: dict[str, Any]) -> None:
    body = case["body"].encode()
    if "error" in case:
        with pytest.raises(BadBodyError) as raised:
            read(body)
        assert str(raised.value).startswith(case["error"])
        return
    found = read(body, case.get("index", ""), case.get("filter_path", ""))
    assert found.payload.decode().split("\n") == [*case["lines"], ""]
    items = [json.loads(item) for item in found.items]
    assert items == case["items"]
    assert found.has_errors == any("error" in next(iter(item.values())) for item in items)


@given(st.binary())
def test_no_bytes_harm_what_came_before_them(rest: bytes) -> None:
    good = b'{"create":{"_index":"a"}}\n{"message":"good"}\n'
    try:
        found = read(good + rest)
    except BadBodyError:
        return
    assert found.payload.startswith(b'{"_index":"a","message":"good"}\n')
    assert all(line.startswith(b"{") for line in found.payload.split(b"\n")[:-1])
    assert orjson.loads(found.items[0])["create"]["status"] == 201


ids = st.none() | st.text(min_size=1)
documents = st.dictionaries(st.text(), st.none() | st.integers(-(2**53), 2**53) | st.text())


@given(
    st.lists(st.tuples(st.sampled_from(["create", "index"]), ids, ids, documents)),
    st.booleans(),
)
def test_every_document_comes_out_with_its_index_and_id(
    actions: list[tuple[str, str | None, str | None, dict[str, Any]]], in_ascii: bool
) -> None:
    body = b""
    expected = []
    for name, index, doc_id, document in actions:
        metadata = {"_index": index, "_id": doc_id}
        for line in ({name: metadata}, document):
            body += json.dumps(line, ensure_ascii=in_ascii).encode("utf-8", "replace") + b"\n"
        read_back = json.loads(
            json.dumps(document, ensure_ascii=in_ascii).encode("utf-8", "replace")
        )
        added = {key: value for key, value in metadata.items() if value}
        expected.append({**added, **read_back})
    found = read(body)
    assert [json.loads(line) for line in found.payload.splitlines()] == expected
    assert len(found.items) == len(actions)
    assert not found.has_errors


@given(st.text(alphabet="[]-!*?.^\\az,_ems"))
def test_any_filter_is_obeyed(filter_path: str) -> None:
    found = read(b'{"create":{}}\n{}\n{"delete":{}}\n', filter_path=filter_path)
    assert found.payload == b"{}\n"
    assert found.has_errors
    assert all(isinstance(orjson.loads(item), dict) for item in found.items)


@pytest.mark.parametrize("depth", [200, 1000, 100_000])
def test_deep_json_is_refused_not_followed(depth: int) -> None:
    deep = b"[" * depth + b"]" * depth
    for line in (deep, b'{"create":%b}' % deep, b'{"create":{"_index":%b}}' % deep):
        with pytest.raises(BadBodyError, match="cannot read the action line"):
            read(line + b"\n{}\n")


def test_more_indexes_than_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elasticsearch_bulk, "MOST_KNOWN", 3)
    body = b"".join(b'{"create":{"_index":"i%d"}}\n{"n":%d}\n' % (n % 7, n) for n in range(50))
    events = [json.loads(line) for line in read(body).payload.splitlines()]
    assert events == [{"_index": f"i{n % 7}", "n": n} for n in range(50)]

"""Which way in the rows of a component have again, from the pipelines of packs alone."""

from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
import yaml

from tailrace.cli._doors import Door, FileDoor, HttpDoor, Pipeline, TableDoor, find_door
from tailrace.errors import TailraceError, UsageError
from tailrace.packs import find_usable
from tailrace.settings import Settings
from tailrace.store import Store
from tailrace.store.rejected import RejectedLine

OWN = """
sources:
  tcp: {type: socket, address: "127.0.0.1:7000"}
  web: {type: http_server, address: "127.0.0.1:7001", path: /in}
  many: {type: file, include: ["/logs/*.log"]}
  alone: {type: socket, address: "127.0.0.1:7002"}
transforms:
  read: {type: remap, inputs: [tcp, web], reroute_dropped: true}
  kept: {type: remap, inputs: [read.dropped]}
  loud: {type: remap, inputs: [many], reroute_dropped: true}
sinks:
  table: {type: clickhouse, inputs: [read, kept], database: d, table: t}
  lines: {type: clickhouse, inputs: [alone], table: t, format: json_as_string}
  file: {type: file, inputs: [loud]}
"""


@pytest.fixture
def store() -> Store:
    return Store("http://127.0.0.1:9")


def door(component: str, store: Store, *pipelines: Pipeline) -> Door:
    own = Pipeline("own", **yaml.safe_load(OWN))
    return find_door(component, pipelines or (own,), store, httpx.Client())


@pytest.mark.parametrize(
    ("component", "name"),
    [
        ("web", "http://127.0.0.1:7001/in"),
        # It goes where what comes by HTTP goes, and only that is acknowledged.
        ("tcp", "http://127.0.0.1:7001/in"),
        ("read", "http://127.0.0.1:7001/in"),
        ("table", "the table d.t"),
        ("lines", "the table default.t"),
        ("alone", "the table default.t"),
    ],
)
def test_rows_go_where_their_component_takes_them(component: str, name: str, store: Store) -> None:
    assert door(component, store).name == name


@pytest.mark.parametrize(
    ("component", "why"),
    [
        ("unknown", "no pack's pipeline has"),
        ("kept", "are events"),
        ("many", "many acknowledges no lines"),
        ("file", "it is a sink file"),
    ],
)
def test_where_there_is_no_way_the_refusal_says_what_to_do(
    component: str, why: str, store: Store
) -> None:
    with pytest.raises(UsageError, match=why) as refused:
        door(component, store)
    assert "--to http://HOST:PORT/" in str(refused.value)


def test_a_name_that_two_packs_have_is_refused(store: Store) -> None:
    packs = [Pipeline(name, **yaml.safe_load(OWN)) for name in ("one", "two")]
    with pytest.raises(UsageError, match="one and two both have"):
        door("web", store, *packs)


@pytest.mark.parametrize(
    ("component", "kind", "name"),
    [
        ("logs_tcp", HttpDoor, "http://127.0.0.1:9901/"),
        ("logs_http", HttpDoor, "http://127.0.0.1:9901/"),
        ("requests", FileDoor, "the file here/api_requests.log"),
        ("requests_file", FileDoor, "the file here/api_requests.log"),
        ("requests_clickhouse", TableDoor, "the table logs.api_requests"),
        # Whether or not this shell knows the brokers that the collector reads from.
        ("collatz_kafka", TableDoor, "the table rikstv.intake"),
        ("collatz_tcp", TableDoor, "the table rikstv.intake"),
    ],
)
def test_the_packs_own_components_have_one(
    component: str, kind: type, name: str, store: Store
) -> None:
    settings = Settings.read(data_dir=Path("here"), intake_http="127.0.0.1:9901")
    packs, _ = find_usable(settings)
    found = door(
        component, store, *(Pipeline.of(pack, settings) for pack in packs if pack.pipeline)
    )
    assert isinstance(found, kind)
    assert found.name == name


def row(raw: bytes) -> RejectedLine:
    return RejectedLine("1", datetime(2026, 1, 1, tzinfo=UTC), "c", "", "r", raw)


def test_lines_are_appended_whole_and_those_that_are_none_stay(tmp_path: Path) -> None:
    file = tmp_path / "x.log"
    appended = FileDoor(file).send([row(b"a"), row(b"b\nc"), row(b"\xff")])
    assert [one.raw for one in appended] == [b"a", b"\xff"]
    assert file.read_bytes() == b"a\n\xff\n"
    with file.open("ab") as other:
        other.write(b"half")
    with pytest.raises(TailraceError, match="has not ended"):
        FileDoor(file).send([row(b"d")])
    assert file.read_bytes() == b"a\n\xff\nhalf"


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(TailraceError, match="cannot append to .*No such file"):
        FileDoor(tmp_path / "no" / "x.log").send([row(b"a")])

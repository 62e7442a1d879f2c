"""What a broken disk leaves: the collector starts, what is good goes on, what is bad is kept aside."""

import json
from functools import partial
from pathlib import Path

import pytest

from tailrace.collect.buffer.format import Record, pack_record, unpack_segment_header
from tailrace.collect.buffer.segment import scan_file
from tests.integration.collect_system import (
    HTTP,
    Collector,
    Engine,
    eventually,
    pipeline,
)

pytestmark = pytest.mark.usefixtures("empty_tables")

DEAD_ENGINE = "http://127.0.0.1:9"
SEGMENTS = 5
EVENTS_A_SEGMENT = 100


def events(segment: int) -> set[str]:
    return {f"{segment}-{number}" for number in range(EVENTS_A_SEGMENT)}


@pytest.fixture
def segments(tmp_path: Path) -> list[Path]:
    """What a killed collector has left, a segment a request."""
    given = pipeline(DEAD_ENGINE, http=HTTP)
    given["sinks"]["out"]["batch"]["max_events"] = EVENTS_A_SEGMENT
    with Collector(given, tmp_path / "collector") as collector:
        folder = tmp_path / "collector" / "data" / "buffer" / "http"
        for number in range(SEGMENTS):
            lines = [json.dumps({"message": message}) for message in sorted(events(number))]
            assert collector.post("\n".join(lines).encode())[0] == 200
            # It is full, so the next request opens another.
            eventually(partial(has_finished, collector, number + 1), "a finished segment")
        collector.kill()
    found = sorted(folder.glob("*.segment"))
    assert len(found) == SEGMENTS
    return found


def has_finished(collector: Collector, count: int) -> bool:
    """Whether to so many segments nothing is appended any more."""
    folder = Path(f"/proc/{collector.pid}/fd")
    is_open = {str(path.resolve()) for path in folder.iterdir()}
    data = next(path for path in is_open if path.endswith("/http/lock"))
    found = Path(data).parent.glob("*.segment")
    return sum(str(path.resolve()) not in is_open for path in found) == count


def flip_a_byte_of_the_payload(path: Path) -> None:
    (record,) = [found for found in scan_file(path) if isinstance(found, Record)]
    payload = bytes(record.payload)
    del record
    data = bytearray(path.read_bytes())
    data[data.index(payload) + len(payload) // 2] ^= 0x20
    path.write_bytes(data)


def tear(path: Path) -> None:
    """A write that was cut short by the end of the machine."""
    data = path.read_bytes()
    header = unpack_segment_header(data)
    assert header
    record = b"".join(pack_record([b"torn\n"], b"{}", 1, 5, header.checksum_start))
    path.write_bytes(data + record[:-3])


def test_good_segments_go_on_and_damage_is_kept_aside_and_counted(
    engine: Engine, segments: list[Path], tmp_path: Path
) -> None:
    flip_a_byte_of_the_payload(segments[1])
    tear(segments[2])
    segments[3].write_bytes(b"")
    segments[4].write_bytes(b"\xa5" * 1000)
    (segments[4].parent / "9999999999999999.segment").write_bytes(b"no segment\n" * 100)
    with Collector(pipeline(engine.url, http=HTTP), tmp_path / "collector") as collector:
        expected = events(0) | events(2)
        eventually(lambda: stored(engine) >= expected, "all events of sound records")
        eventually(lambda: not left(segments), "an empty buffer")
        assert collector.post(b'{"message":"new"}')[0] == 200
        eventually(lambda: "new" in stored(engine), "an event that comes afterwards")
        page = collector.page("/metrics")
    assert stored(engine) == expected | {"new"}
    rows = engine.value("SELECT toUInt32(count()) FROM logs.application_logs")
    assert rows == len(expected) + 1
    assert 'error_type="corrupt_record"} 3.0' in page
    aside = {path.name for path in segments[0].parent.glob("*.damaged")}
    assert aside >= {segments[1].with_suffix(".damaged").name, "9999999999999999.damaged"}
    assert b"1-50" in segments[1].with_suffix(".damaged").read_bytes()


@pytest.mark.parametrize("damage", ["cut", "gone", "garbage"])
def test_without_a_sound_ledger_nothing_is_lost_or_doubled(
    damage: str, engine: Engine, segments: list[Path], tmp_path: Path
) -> None:
    """ClickHouse knows by their tokens which batches it has, even where the ledger does not."""
    ledger = segments[0].parent.parent / "ledger.db"
    copies = {path: path.read_bytes() for path in segments}
    with Collector(pipeline(engine.url, http=HTTP), tmp_path / "collector"):
        eventually(lambda: not left(segments), "an empty buffer")
    # As after a crash before the segments were removed.
    for path, content in copies.items():
        path.write_bytes(content)
    data = ledger.read_bytes()
    match damage:
        case "cut":
            ledger.write_bytes(data[: len(data) // 2])
        case "garbage":
            ledger.write_bytes(b"\xa5" * len(data))
        case _:
            ledger.unlink()
    with Collector(pipeline(engine.url, http=HTTP), tmp_path / "collector") as collector:
        eventually(lambda: not left(segments), "an empty buffer")
        log = collector.log
    assert stored(engine) == set().union(*map(events, range(SEGMENTS)))
    rows = engine.value("SELECT toUInt32(count()) FROM logs.application_logs")
    assert rows == SEGMENTS * EVENTS_A_SEGMENT
    assert ("cannot read the ledger" in log) == (damage != "gone")
    assert bool(list(ledger.parent.glob("ledger.db.*.damaged"))) == (damage != "gone")


def stored(engine: Engine) -> set[str]:
    rows = engine.query("SELECT message FROM logs.application_logs")
    return {row["message"] for row in rows}


def left(segments: list[Path]) -> list[Path]:
    return list(segments[0].parent.glob("*.segment"))

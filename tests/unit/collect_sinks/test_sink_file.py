"""The sink `file`: paths, confinement, compression and what it cannot write."""

import asyncio
import gzip
import io
import os
from pathlib import Path
from typing import Any

import orjson
import pytest
import zstandard
from pydantic import ValidationError

from tailrace.clock import SystemClock
from tailrace.collect.metrics import Metrics
from tailrace.collect.sink import Delivery, Piece, SinkBatch, SinkContext
from tailrace.collect.sinks.file import FileConfig, FileSink
from tailrace.collect.transform import Event, Timestamp
from tailrace.settings import Settings
from tailrace.telemetry import new_registry
from tests.unit.collect.support import quiet_log

DAY = Timestamp("2026-01-31T23:30:00.5Z")


def config_of(path: str, **options: Any) -> FileConfig:
    given = {"inputs": ["in"], "path": path, "encoding": {"codec": "text"}, **options}
    return FileConfig.model_validate(given)


def sink_of(folder: Path, path: str, **options: Any) -> FileSink:
    context = SinkContext(
        "out",
        Metrics(new_registry()).component("out", "sink", "file"),
        quiet_log(),
        SystemClock(),
        Settings.read(data_dir=folder),
        own_folder=folder / "_sinks",
    )
    return FileSink(config_of(path, **options), context)


async def deliver(sink: FileSink, events: list[Event], token: str = "t") -> Delivery:  # noqa: S107
    payload = (await sink.encoder()).encode(events)
    delivery = await sink.deliver(SinkBatch(token, "in", [Piece(payload, len(events), 7, "peer")]))
    return delivery


async def test_each_event_goes_to_the_file_that_its_fields_and_time_name(tmp_path: Path) -> None:
    sink = sink_of(tmp_path, f"{tmp_path}/{{{{ app }}}}/%Y-%m-%d.log")
    events: list[Event] = [
        {"app": "a", "message": "1", "timestamp": DAY},
        {"app": "b", "message": "2", "timestamp": DAY},
        {"app": "a", "message": "3", "timestamp": DAY},
    ]
    assert (await deliver(sink, events)).sent_rows == 3
    await sink.close()
    assert (tmp_path / "a" / "2026-01-31.log").read_text() == "1\n3\n"
    assert (tmp_path / "b" / "2026-01-31.log").read_text() == "2\n"


async def test_the_zone_moves_the_day(tmp_path: Path) -> None:
    sink = sink_of(tmp_path, f"{tmp_path}/%F.log", timezone="Europe/Berlin")
    await deliver(sink, [{"message": "1", "timestamp": DAY}])
    await sink.close()
    assert (tmp_path / "2026-02-01.log").exists()


@pytest.mark.parametrize("app", ["../../evil", "/../../evil", "x/../../../evil"])
async def test_no_event_leads_out_of_the_folder(app: str, tmp_path: Path) -> None:
    sink = sink_of(tmp_path, f"{tmp_path}/in/{{{{ app }}}}.log")
    events: list[Event] = [{"app": app, "message": "bad"}, {"app": "good", "message": "good"}]
    delivery = await deliver(sink, events)
    await sink.close()
    assert delivery.sent_rows == 1
    [row] = delivery.rejected
    assert "is not below" in row.reason
    assert orjson.loads(row.raw) == events[0]
    assert row.peer == "peer"
    written = [name for _, _, names in os.walk(tmp_path) for name in names]
    assert sorted(written) == ["good.log", "out.json"]


async def test_an_event_without_the_field_is_rejected(tmp_path: Path) -> None:
    sink = sink_of(tmp_path, f"{tmp_path}/{{{{ app }}}}.log")
    delivery = await deliver(sink, [{"message": "x"}, {"message": "y", "app": {"a": 1}}])
    await sink.close()
    assert [row.reason for row in delivery.rejected] == [
        "cannot fill in {{ app }}: the event has no such field"
    ] * 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"path": "{{ app }}.log"}, "could choose any path"),
        ({"path": "/x/%f.log"}, "cannot use '%f'"),
        ({"path": "/x/{{ }}"}, "cannot read"),
        ({"path": "/x/{{ a }}", "base_dir": "relative"}, "absolute"),
        ({"path": "/x", "timezone": "Nowhere"}, "Nowhere"),
        ({"path": "/x", "compression": "lzma"}, "compression"),
        ({"path": "/x", "encoding": {"codec": "avro"}}, "codec"),
        ({"path": "/x", "encoding": {"codec": "csv"}}, "csv"),
    ],
)
def test_wrong_options_are_said(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        config_of(**options)


def test_a_bare_template_may_be_allowed() -> None:
    assert config_of("{{ a }}", base_dir="/x").confined_to == "/x"
    config = config_of("{{ a }}", dangerously_allow_unconfined_template_resolution=True)
    assert config.confined_to is None


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
async def test_compressed_batches_make_one_readable_file(compression: str, tmp_path: Path) -> None:
    path = tmp_path / "out"
    sink = sink_of(tmp_path, str(path), compression=compression)
    for number in range(3):
        await deliver(sink, [{"message": f"line {number}"}], f"t{number}")
    await sink.close()
    if compression == "gzip":
        text = gzip.decompress(path.read_bytes())
    else:
        with zstandard.ZstdDecompressor().stream_reader(
            io.BytesIO(path.read_bytes()), read_across_frames=True
        ) as reader:
            text = reader.read()
    assert text == b"line 0\nline 1\nline 2\n"


async def test_a_folder_that_cannot_be_written_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in").write_text("a file where a folder should be")
    sink = sink_of(tmp_path, f"{tmp_path}/in/out.log")
    waits: list[float] = []

    async def wait(seconds: float) -> None:
        waits.append(seconds)
        assert not sink.is_well
        if len(waits) == 3:
            (tmp_path / "in").unlink()

    monkeypatch.setattr(asyncio, "sleep", wait)
    delivery = await deliver(sink, [{"message": "x"}])
    await sink.close()
    assert waits == [1, 1, 2]
    assert delivery.attempts == 4
    assert sink.is_well
    assert (tmp_path / "in" / "out.log").read_text() == "x\n"


async def test_a_new_process_knows_what_is_written(tmp_path: Path) -> None:
    for _ in range(2):
        sink = sink_of(tmp_path, f"{tmp_path}/out.log")
        assert (await deliver(sink, [{"message": "x"}])).sent_rows == 1
        await sink.close()
    assert (tmp_path / "out.log").read_text() == "x\n"

"""What sources make of what is sent to them: `components/sources/*.yaml`.

Besides what `golden_cases` says: `send` is what is sent (see `drive_sources`), `events` are those
that come out of the source's codec, `rejected` pairs of what can be no event and the reason,
`answers` what the peers are told. With `any_order` the events may come in any.
"""

import asyncio
import os
import random
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest
from typing_extensions import override

from tailrace.clock import SystemClock
from tailrace.collect.buffer.format import Record
from tailrace.collect.codecs import CODECS
from tailrace.collect.component import SourceConfig
from tailrace.collect.metrics import Metrics
from tailrace.collect.pipeline import Pipeline, frames, write_origin
from tailrace.collect.plan import plan
from tailrace.collect.sink import Encoder
from tailrace.collect.source import Source, SourceContext
from tailrace.collect.sources import SOURCES
from tailrace.collect.transform import Event
from tailrace.telemetry import new_registry
from tests.golden.vector.drive_sources import (
    RecordingIntake,
    as_bytes,
    change_file,
    send,
)
from tests.golden.vector.golden_cases import (
    ARRIVAL_MS,
    Case,
    as_parameters,
    assert_like,
    assert_refused,
    cases_of,
    filled,
    load_component,
    without_added,
)
from tests.unit.collect.support import quiet_log, until


class Collecting(Encoder):
    """Keeps the events that a pipeline has made."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    @override
    def encode(self, events: list[Event]) -> bytes:
        self.events += events
        return b""


@pytest.fixture(autouse=True)
def _in_a_known_place(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    monkeypatch.setattr(socket, "gethostname", lambda: "this-machine")
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize("case", as_parameters(cases_of("sources")))
async def test_source_case(case: Case, tmp_path: Path) -> None:
    if case.is_refused:
        assert_refused(case, tmp_path)
        return
    config = load_component(case, tmp_path)
    options = config.sources["in"]
    intake = RecordingIntake()
    expected = filled(case.data, tmp_path)
    wanted = len(expected.get("events", [])) + len(expected.get("rejected", []))
    answers = await _drive(case, options, intake, tmp_path, wanted)
    metrics = Metrics(new_registry())
    [way] = plan(config, {n: metrics.component(n, "any", "any") for n in ("in", "out")})
    records = [
        Record(
            memoryview(part.payload),
            write_origin(part.origin, part.one_frame, part.position, part.reject_reason),
            part.count,
            ARRIVAL_MS,
        )
        for part in intake.frames
    ]
    kept = Collecting()
    processed = Pipeline(way.spec).process([*frames(iter(records))], {"out": kept})
    events = without_added(expected.get("events", []), kept.events, case.kind)
    rejected = [
        *([line.raw.decode("utf-8", "replace"), line.reason] for line in intake.rejected),
        *([row.raw.decode("utf-8", "replace"), row.reason] for row in processed.rejected),
    ]
    if case.data.get("any_order"):
        events.sort(key=lambda event: orjson.dumps(event, option=orjson.OPT_SORT_KEYS))
    assert_like(expected.get("events", []), events)
    assert_like(expected.get("rejected", []), rejected)
    assert_like(expected.get("answers", answers), answers)


async def _drive(
    case: Case, options: SourceConfig, intake: RecordingIntake, folder: Path, wanted: int
) -> list[Any]:
    """Start the source, send to it, wait for what is wanted, stop it."""
    sending = filled(case.data["send"], folder)
    context = SourceContext(
        "in",
        intake,
        CODECS[options.codec],
        Metrics(new_registry()).component("in", "source", case.kind),
        quiet_log(),
        SystemClock(),
        intake.positions,
        most_events_at_once=1000,
        most_bytes_at_once=1_000_000,
    )
    if "files" in sending:
        await _read_files(case, options, context, sending, folder, wanted)
        return []
    source, release = _build(case, options, context, sending)
    await source.start()
    try:
        answers = await send(sending, source, options, folder)
        if case.kind in ("demo_logs", "stdin"):
            await asyncio.wait_for(source.finished.wait(), 20)
        with suppress(TimeoutError):
            await until(lambda: intake.taken >= wanted)
    finally:
        await source.stop(5)
        release()
    return answers


def _build(
    case: Case, options: SourceConfig, context: SourceContext, sending: dict[str, Any]
) -> tuple[Source, Callable[[], None]]:
    build = SOURCES[case.kind].build
    if case.kind == "stdin":
        reading, writing = os.pipe()
        os.write(writing, as_bytes(sending["stdin"]))
        os.close(writing)
        return build(options, context, reading), partial(os.close, reading)
    if case.kind == "demo_logs":
        return build(options, context, random.Random(1)), lambda: None
    return build(options, context), lambda: None


async def _read_files(
    case: Case,
    options: SourceConfig,
    context: SourceContext,
    sending: dict[str, Any],
    folder: Path,
    wanted: int,
) -> None:
    """Files as they are, then each change once what came before it was taken."""
    for name, text in sending["files"].items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(as_bytes(text))
    for name, age_secs in sending.get("age_secs", {}).items():
        os.utime(folder / name, (time.time() - age_secs,) * 2)
    intake = context.intake
    assert isinstance(intake, RecordingIntake)
    source = SOURCES[case.kind].build(options, context)
    await source.start()
    try:
        for change in sending.get("then", []):
            await until(partial(_has, intake, change.get("after", 0)))
            if change.get("restart"):
                await source.stop(5)
                source = SOURCES[case.kind].build(options, replace(context))
                await source.start()
            change_file(folder, change)
        await until(partial(_has, intake, wanted))
        for name in sending.get("gone", []):
            await until(lambda path=folder / name: not path.exists())  # type: ignore[misc]
    finally:
        await source.stop(5)


def _has(intake: RecordingIntake, number: int) -> bool:
    return intake.taken >= number

"""Every pack's dashboard on the real engine: its SQL runs, with rows and without, and can be drawn."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from tailrace.packs import Pack, find_packs, find_required
from tailrace.packs.dashboard import FILE_NAME, Panel, read_dashboard
from tailrace.settings import Settings
from tailrace.store import Store
from tailrace.store.migrations import set_up
from tailrace.web.pages.drawing import Lines, draw
from tailrace.web.panels import Span, ask
from tests.processes import start_engine

PACKS = [pack for pack in find_packs(Settings.read()) if (pack.folder / FILE_NAME).exists()]
PANELS = [
    pytest.param(pack, panel, id=f"{pack.name}-{panel.name}")
    for pack in PACKS
    for panel in read_dashboard(pack.folder / FILE_NAME).panels
]
NOW = datetime.now(UTC)
ENDS = {"from": "1h", "to": ""}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """An engine whose own time zone is not UTC, with the tables of every pack that has a dashboard."""
    data_dir = tmp_path_factory.mktemp("dashboards")
    with start_engine(data_dir, {"TZ": "Asia/Kolkata"}) as engine:
        settings = Settings.read(engine_port=engine.port, data_dir=data_dir)
        with Store.from_settings(settings) as opened:
            set_up(opened, find_required(settings, [pack.name for pack in PACKS]), settings)
            yield opened


@pytest.mark.parametrize(("pack", "panel"), PANELS)
async def test_its_sql_runs_where_there_is_nothing_yet(
    store: Store, pack: Pack, panel: Panel
) -> None:
    answer = await ask(store, panel, Span.parse("7d", "6d", "1h", NOW))
    assert draw(answer, ENDS) is not None, pack.name


async def test_the_dashboard_of_logs_counts_what_is_in_its_range(store: Store) -> None:
    events = [
        {
            "timestamp": (NOW - timedelta(minutes=age)).isoformat(),
            "level": level,
            "message": 'payment "x" failed',
            "source": "payment",
            "path": "/api/checkout",
            "duration_ms": 100 * age,
        }
        for age, level in ((1, "error"), (2, "info"), (3, "critical"), (4, "info"), (90, "error"))
    ]
    body = "".join(f"{json.dumps(event)}\n" for event in events).encode()
    store.insert("logs.intake", body, "JSONAsString", columns=["json"])
    logs = read_dashboard(next(pack for pack in PACKS if pack.name == "logs").folder / FILE_NAME)
    span = Span.parse("1h", "", "1h", NOW)
    found = {panel.name: await ask(store, panel, span) for panel in logs.panels}
    assert found["events"].result.value() == 4
    assert found["errors"].result.value() == 50.0
    assert found["errors-by-source"].result.rows == [("payment", 2)]
    assert found["slowest-operations"].result.rows[0][:2] == ("/api/checkout", 4)
    assert [row[1] for row in found["newest-errors"].result.rows] == ["ERROR", "CRITICAL"]
    drawn = draw(found["events-by-level"], ENDS)
    assert isinstance(drawn, Lines)
    assert [key.name for key in drawn.keys] == ["INFO", "ERROR", "CRITICAL"]
    assert [sum(values) for values in drawn.data["values"]] == [2, 1, 1]
    # Each bucket is a step of the range, in whatever time zone the engine is.
    assert drawn.data["step"] == 60
    assert len(drawn.data["times"]) == 61


async def test_the_dashboard_of_requests_counts_to_the_second(store: Store) -> None:
    """A range that begins or ends within a minute has a part of that minute's requests."""
    lines = [
        {"timestamp": f"2026-11-22 10:{at}", "customer_id": "c", "path": "/p", "status": status}
        for at, status in (("00:12", 500), ("00:13", 200), ("04:59", 404), ("05:12", 200))
        + (("05:13", 500),)
    ]
    body = "".join(f"{json.dumps({**line, 'seconds': 0.1})}\n" for line in lines).encode()
    store.insert("logs.api_requests", body, "JSONEachRow")
    pack = next(pack for pack in PACKS if pack.name == "requests")
    panels = read_dashboard(pack.folder / FILE_NAME).panels
    span = Span.parse("2026-11-22T10:00:13Z", "2026-11-22T10:05:13Z", "1h", NOW)
    found = {panel.name: (await ask(store, panel, span)).result for panel in panels}
    assert found["requests"].value() == 3
    assert round(found["uptime"].value(), 3) == 66.667
    (customer, used) = found["most-error-budget-used"].rows[0]
    assert (customer, round(used, 1)) == ("c", 33333.3)
    assert found["customers"].rows[0][1:3] == (3, 1)

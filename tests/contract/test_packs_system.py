"""What every pack keeps in the real system: its tables, its pipeline, its events, its dashboard."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from tailrace.errors import UsageError
from tailrace.packs import Pack, find_packs, find_required
from tailrace.packs.dashboard import FILE_NAME, read_dashboard
from tailrace.settings import Settings
from tailrace.store import Limits, Store
from tailrace.store.migrations import read_migrations, set_up
from tests.integration.collect_system import Collector, eventually
from tests.processes import start_engine
from tests.web_system import free_port

PACKS = find_packs(Settings.read())
EVENTS = 700


@pytest.fixture(params=PACKS, ids=lambda pack: pack.name)
def pack(request: pytest.FixtureRequest) -> Pack:
    found: Pack = request.param
    return found


@pytest.fixture(scope="module")
def engine_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with start_engine(tmp_path_factory.mktemp("packs")) as engine:
        yield engine.url


@pytest.fixture
def store(engine_url: str, pack: Pack) -> Iterator[Store]:
    with Store(engine_url) as store:
        settings = Settings.read()
        set_up(store, find_required(settings, [pack.name]), settings)
        yield store


def tailrace(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tailrace", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=environment or None,
    )


def test_its_migrations_apply_twice(store: Store, pack: Pack) -> None:
    for migration in read_migrations(pack):
        for statement in migration.statements(Settings.read()):
            store.command(statement)
    [report] = set_up(store, [pack], Settings.read())
    assert report.done == ()


def test_its_pipeline_validates_and_passes_its_own_tests(pack: Pack) -> None:
    if pack.pipeline is None:
        pytest.skip("this pack has no pipeline")
    for command in ("validate", "test"):
        done = tailrace(command, str(pack.pipeline))
        assert done.returncode == 0, done.stdout + done.stderr


def test_its_generators_events_all_arrive(
    store: Store, pack: Pack, engine_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if pack.generator is None or pack.pipeline is None or pack.table is None:
        pytest.skip("this pack has no generator, no pipeline or no table")
    for variable in pack.variables.values():
        if str(variable.default).startswith("127.0.0.1:"):
            monkeypatch.setenv(variable.environment, f"127.0.0.1:{free_port()}")
    settings = Settings.read(
        clickhouse_url=engine_url,
        data_dir=tmp_path / "data",
        intake_tcp=f"127.0.0.1:{free_port()}",
        intake_http=f"127.0.0.1:{free_port()}",
    )
    try:
        target = pack.demo_target(settings)
    except UsageError as error:
        pytest.skip(f"this pack cannot run here: {error}")
    before = store.query(f"SELECT count() FROM {pack.table}").value()
    rejected = store.query("SELECT count() FROM logs.rejected").value()
    with Collector(yaml.safe_load(pack.render_pipeline(settings)), tmp_path):
        done = tailrace(
            "generate", pack.name, "--count", str(EVENTS), "--seed", "1", "--to", target
        )
        assert done.returncode == 0, done.stderr

        def arrived() -> bool:
            return bool(store.query(f"SELECT count() FROM {pack.table}").value() >= before + EVENTS)

        eventually(arrived, f"{EVENTS} events of {pack.name}")
    assert store.query(f"SELECT count() FROM {pack.table}").value() == before + EVENTS
    assert store.query("SELECT count() FROM logs.rejected").value() == rejected


def test_its_dashboards_sql_runs(store: Store, pack: Pack) -> None:
    path = pack.folder / FILE_NAME
    if not path.exists():
        pytest.skip("this pack has no dashboard")
    now = datetime.now(UTC)
    shown = {"from": now - timedelta(hours=1), "to": now, "step": 60}
    for panel in read_dashboard(path).panels:
        store.query(panel.sql, shown, limits=Limits())
        # Where nothing has come yet, an answer has no columns.
        described = store.query(f"DESCRIBE TABLE ({panel.sql})", shown, limits=Limits())
        least = {"time_series": 2, "bar": 2, "table": 1, "value": 1}[panel.kind]
        assert len(described.rows) >= least, panel.title

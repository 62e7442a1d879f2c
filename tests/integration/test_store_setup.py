"""`tailrace setup` against the real engine."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tailrace.collect.sinks.clickhouse.client import SWALLOWS_ROWS
from tailrace.packs import find_packs, find_required
from tailrace.packs.registry import BUILT_IN
from tailrace.settings import Settings
from tailrace.store import Store
from tailrace.store.migrations import read_migrations, set_up
from tests.processes import Process, start_engine


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with start_engine(tmp_path_factory.mktemp("engine")) as process:
        yield process


@pytest.fixture
def store(engine: Process) -> Iterator[Store]:
    """An engine with nothing of ours in it."""
    with Store(engine.url) as store:
        store.command("DROP DATABASE IF EXISTS logs SYNC")
        store.command("DROP DATABASE IF EXISTS tailrace SYNC")
        store.command("DROP DATABASE IF EXISTS mine SYNC")
        yield store


def setup(engine: Process, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("TAILRACE_")}
    return subprocess.run(
        [sys.executable, "-m", "tailrace", "setup", "--clickhouse", engine.url, *arguments],
        capture_output=True,
        text=True,
        env={**clean, **environment},
        check=False,
    )


def has_nothing_to_do(done: subprocess.CompletedProcess[str]) -> bool:
    """Whether a setup of every pack said that everything is there."""
    lines = done.stdout.splitlines()
    return bool(lines) and all(line.endswith(": everything is there") for line in lines)


def tables(store: Store) -> list[str]:
    return [
        row[0]
        for row in store.query(
            "SELECT name FROM system.tables WHERE database = 'logs' ORDER BY name"
        ).rows
    ]


def days(store: Store, table: str) -> str:
    found = store.query(
        "SELECT extract(engine_full, 'toIntervalDay\\\\((\\\\d+)\\\\)') FROM system.tables "
        "WHERE concat(database, '.', name) = {table:String}",
        {"table": table},
    )
    return str(found.value())


def test_setup_makes_the_tables_and_says_so(engine: Process, store: Store) -> None:
    done = setup(engine)
    assert done.returncode == 0, done.stderr
    assert "applied 001_tables.sql" in done.stdout
    assert {"application_logs", "rejected", "intake"} <= set(tables(store))
    assert days(store, "logs.application_logs") == days(store, "logs.rejected") == "30"


def test_setup_again_does_nothing(engine: Process, store: Store) -> None:
    assert setup(engine).returncode == 0
    again = setup(engine, "logs")
    assert again.returncode == 0
    assert again.stdout == "logs: everything is there\n"


def test_the_original_insert_and_query_work(engine: Process, store: Store) -> None:
    assert setup(engine).returncode == 0
    store.command(
        "INSERT INTO logs.application_logs (timestamp, log_level, message, source) "
        "VALUES ('2026-01-02 03:04:05', 'INFO', 'hello', 'auth')"
    )
    store.command(
        "INSERT INTO logs.application_logs (log_level, message, source) VALUES ('A','b','c')"
    )
    rows = store.query(
        "SELECT timestamp, log_level, message, source FROM logs.application_logs "
        "ORDER BY timestamp DESC LIMIT 100"
    ).rows
    assert [row[1:] for row in rows] == [("A", "b", "c"), ("INFO", "hello", "auth")]
    columns = store.query("SELECT * FROM logs.application_logs LIMIT 0").columns
    assert columns[:4] == ("timestamp", "log_level", "message", "source")


def test_another_retention_is_brought_to_tables_that_are_there(
    engine: Process, store: Store
) -> None:
    assert setup(engine).returncode == 0
    changed = setup(engine, "--retention-days", "7")
    assert changed.returncode == 0, changed.stderr
    assert "changed the retention of logs.application_logs from 30 to 7 days" in changed.stdout
    assert days(store, "logs.application_logs") == days(store, "logs.rejected") == "7"
    assert has_nothing_to_do(setup(engine, "--retention-days", "7"))


def test_retention_counts_from_arrival_and_not_from_the_events_time(
    engine: Process, store: Store
) -> None:
    assert setup(engine, "--retention-days", "7").returncode == 0
    store.command(
        "INSERT INTO logs.application_logs (timestamp, message, received_at) VALUES "
        "('2005-12-04 04:47:44', 'old log of today', now64(3)), "
        "(now64(3), 'arrived long ago', now64(3) - INTERVAL 8 DAY)"
    )
    store.command("OPTIMIZE TABLE logs.application_logs FINAL")
    rows = store.query("SELECT message FROM logs.application_logs").rows
    assert rows == [("old log of today",)]


def test_dry_run_prints_the_sql_and_runs_none(engine: Process, store: Store) -> None:
    shown = setup(engine, "--dry-run", "--retention-days", "9")
    assert shown.returncode == 0
    assert "CREATE TABLE IF NOT EXISTS logs.application_logs" in shown.stdout
    assert "INTERVAL 9 DAY" in shown.stdout
    assert "tailrace.migrations" in shown.stdout
    assert tables(store) == []
    assert setup(engine).returncode == 0
    assert setup(engine, "--dry-run").stdout == ""


def test_what_dry_run_prints_can_be_run(engine: Process, store: Store) -> None:
    from tailrace.store.sql import split_statements

    for statement in split_statements(setup(engine, "--dry-run").stdout):
        store.command(statement)
    assert {"application_logs", "rejected", "intake"} <= set(tables(store))
    assert setup(engine).returncode == 0


@pytest.mark.parametrize(("name", "table"), [("logs", "intake"), ("requests", "api_requests")])
def test_collectors_wait_until_the_last_view_is_there(
    engine: Process, store: Store, name: str, table: str
) -> None:
    settings = Settings.read(clickhouse_url=engine.url)
    pack = find_packs(settings, [name])[0]
    statements = [text for one in read_migrations(pack) for text in one.statements(settings)]
    ready = next(n for n, text in enumerate(statements, start=1) if "MODIFY COMMENT" in text)
    views = [n for n, text in enumerate(statements, start=1) if "MATERIALIZED VIEW" in text]
    assert ready > max(views)
    for number, statement in enumerate(statements, start=1):
        store.command(statement)
        if table in tables(store):
            asked = SWALLOWS_ROWS.removesuffix("FORMAT TSV")
            swallows = store.query(asked, {"database": "logs", "table": table}).value()
            assert bool(swallows) == (number < ready), statement


def test_setups_at_the_same_time_do_no_harm(engine: Process, store: Store) -> None:
    settings = Settings.read(clickhouse_url=engine.url)
    packs = find_required(settings)

    def one() -> None:
        with Store(engine.url) as own:
            set_up(own, packs, settings)

    with ThreadPoolExecutor(4) as threads:
        for finished in [threads.submit(one) for _ in range(4)]:
            finished.result()
    assert has_nothing_to_do(setup(engine))


def test_a_migration_that_was_changed_after_it_was_applied_is_refused(
    engine: Process, store: Store, tmp_path: Path
) -> None:
    shutil.copytree(BUILT_IN / "logs", tmp_path / "logs")
    packs_dir = {"TAILRACE_PACKS_DIR": str(tmp_path)}
    assert setup(engine, **packs_dir).returncode == 0
    file = tmp_path / "logs/schema/001_tables.sql"
    file.write_text(file.read_text() + "-- changed\n")
    refused = setup(engine, **packs_dir)
    assert refused.returncode == 78
    assert "001_tables.sql was changed after it was applied" in refused.stderr


def test_a_later_migration_of_ones_own_pack_is_added(
    engine: Process, store: Store, tmp_path: Path
) -> None:
    schema = tmp_path / "mine/schema"
    schema.mkdir(parents=True)
    (tmp_path / "mine/pack.yaml").write_text("name: mine\ndescription: mine\n")
    (schema / "001_a.sql").write_text(
        "CREATE DATABASE IF NOT EXISTS mine;\n"
        "CREATE TABLE IF NOT EXISTS mine.t (a String) ENGINE = Memory; -- the end\n"
    )
    packs_dir = {"TAILRACE_PACKS_DIR": str(tmp_path)}
    assert setup(engine, "mine", **packs_dir).stdout == "mine: applied 001_a.sql\n"
    (schema / "002_b.sql").write_text("ALTER TABLE mine.t ADD COLUMN IF NOT EXISTS b UInt8;")
    assert setup(engine, "mine", **packs_dir).stdout == "mine: applied 002_b.sql\n"
    assert store.query("SELECT * FROM mine.t LIMIT 0").columns == ("a", "b")


def test_wrong_names_and_absent_servers_have_their_exit_codes(engine: Process) -> None:
    unknown = setup(engine, "nothing")
    assert unknown.returncode == 2
    assert "'nothing'" in unknown.stderr
    away = setup(engine, "--clickhouse", "http://127.0.0.1:1")
    assert away.returncode == 1
    assert "cannot reach ClickHouse at http://127.0.0.1:1" in away.stderr


def test_what_is_wrong_with_one_pack_is_told_and_the_others_get_their_tables(
    engine: Process, store: Store, tmp_path: Path
) -> None:
    packs = {
        "aged": ("requires: [nothing]", ""),
        "bad": ("", "CREATE DATABASE IF NOT EXISTS mine;\nCREATE TABEL mine.t (a UInt8);\n"),
        "unread": ("tabel: x", ""),
    }
    for name, (more, sql) in packs.items():
        folder = tmp_path / name
        (folder / "schema").mkdir(parents=True)
        (folder / "pack.yaml").write_text(f"name: {name}\ndescription: x\n{more}\n")
        if sql:
            (folder / "schema" / "001_tables.sql").write_text(sql)
    done = setup(engine, TAILRACE_PACKS_DIR=str(tmp_path))
    assert done.returncode == 1
    assert "application_logs" in tables(store)
    assert "bad/schema/001_tables.sql, statement 2: " in done.stderr
    assert "aged/pack.yaml: requires: cannot find a pack 'nothing'" in done.stderr
    assert "unread/pack.yaml:3: tabel: there is no such key" in done.stderr
    assert "Traceback" not in done.stderr
    named = setup(engine, "logs", TAILRACE_PACKS_DIR=str(tmp_path))
    assert (named.returncode, named.stderr) == (0, "")

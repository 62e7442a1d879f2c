from pathlib import Path

import pytest

from tailrace.errors import ConfigurationError, StoreUnavailableError, UsageError
from tailrace.packs import Pack
from tailrace.settings import Settings
from tailrace.store import Limits, Store
from tailrace.store.migrations import read_migrations


def pack_with(folder: Path, **files: str) -> Pack:
    (folder / "schema").mkdir()
    for name, text in files.items():
        (folder / "schema" / f"{name.lstrip('_')}.sql").write_text(text)
    return Pack(folder=folder, name="mine", description="")


def test_files_are_read_by_number(tmp_path: Path) -> None:
    pack = pack_with(tmp_path, _002_b="SELECT 2", _001_a="SELECT 1; SELECT ${retention_days}")
    migrations = read_migrations(pack)
    assert [(m.number, m.name) for m in migrations] == [(1, "001_a.sql"), (2, "002_b.sql")]
    assert list(migrations[0].statements(Settings.read(retention_days=7))) == [
        "SELECT 1",
        "SELECT 7",
    ]


def test_the_checksum_does_not_depend_on_settings(tmp_path: Path) -> None:
    [migration] = read_migrations(pack_with(tmp_path, _001_a="SELECT ${retention_days}"))
    before = migration.checksum
    list(migration.statements(Settings.read(retention_days=7)))
    assert migration.checksum == before


@pytest.mark.parametrize(
    "names",
    [("_001_a", "_003_b"), ("_001_a", "_001_b"), ("_002_a",), ("_1_a",), ("_001_Big",)],
)
def test_wrong_numbers_and_names_are_refused(tmp_path: Path, names: tuple[str, ...]) -> None:
    pack = pack_with(tmp_path, **dict.fromkeys(names, "SELECT 1"))
    with pytest.raises(ConfigurationError, match="cannot use"):
        read_migrations(pack)


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    pack = pack_with(tmp_path)
    (tmp_path / "schema" / "001_tables.sql").write_bytes(b"SELECT '\xe9'")
    with pytest.raises(ConfigurationError, match=r"001_tables\.sql: it is not UTF-8"):
        read_migrations(pack)


@pytest.mark.parametrize("name", ["clickhouse_password", "data_dir", "nothing"])
def test_only_settings_that_are_numbers_can_be_put_in(tmp_path: Path, name: str) -> None:
    [migration] = read_migrations(pack_with(tmp_path, _001_a=f"SELECT ${{{name}}}"))
    with pytest.raises(ConfigurationError, match=name):
        list(migration.statements(Settings.read(clickhouse_password="1")))


@pytest.mark.parametrize(
    "address",
    [
        *("", "localhost:8123", "tcp://localhost:9000", "http://"),
        *("http://[::1", "http://a:99999", "http://a:b", "http://a:0"),
    ],
)
def test_an_address_that_is_not_http_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match="TAILRACE_CLICKHOUSE_URL"):
        Store(address)


def test_nobody_at_the_address_is_said_with_the_address() -> None:
    with (
        Store("http://127.0.0.1:1") as store,
        pytest.raises(StoreUnavailableError, match=r"127\.0\.0\.1:1"),
    ):
        store.query("SELECT 1")


def test_limits_make_a_query_read_only() -> None:
    settings = Limits(max_seconds=2, max_rows=10, max_memory_bytes=1000).as_settings()
    assert settings["readonly"] == 1
    assert settings["max_result_rows"] == 11
    assert settings["max_execution_time"] == 2
    assert settings["max_memory_usage"] == 1000

"""Brings ClickHouse's tables to what the packs say. Applying it any number of times is harmless.

A pack's `schema/` holds numbered files, `001_tables.sql`, each with one or more statements. A file
that was applied is noted in `tailrace.migrations` with a checksum and never runs again; one that was
changed since is an error. Statements are written so that running one twice does no harm
(`IF NOT EXISTS`), which makes two setups at once, or one that was cut off, harmless too.

`${name}` in a file stands for the setting of that name, which must be a number. The checksum is
of the file as written, so another value is no change of the file; the one setting that may be
changed later, the retention, is brought to the tables that `pack.yaml` lists under `retention`.
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tailrace.errors import (
    ConfigurationError,
    StoreError,
    StoreUnavailableError,
    TableMissingError,
)
from tailrace.packs import Pack
from tailrace.settings import Settings
from tailrace.store.client import Store
from tailrace.store.sql import split_statements

LEDGER = (
    "CREATE DATABASE IF NOT EXISTS tailrace",
    """\
CREATE TABLE IF NOT EXISTS tailrace.migrations
(
    pack String,
    number UInt32,
    name String,
    checksum String COMMENT 'SHA-256 of the file',
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree(applied_at)
ORDER BY (pack, number)""",
)
_FILE_NAME = re.compile(r"(\d{3})_[a-z0-9_]+\.sql")
_PARAMETER = re.compile(r"\$\{(\w+)\}")

Run = Callable[[str], None]
"""Runs one statement, or only shows it."""


@dataclass(frozen=True)
class Migration:
    """One numbered file of a pack."""

    pack: str
    number: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the file as it is written."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def statements(self, settings: Settings) -> Iterator[str]:
        """The statements with the settings put in."""
        return split_statements(
            _PARAMETER.sub(lambda found: self._number(found, settings), self.text)
        )

    def _number(self, found: re.Match[str], settings: Settings) -> str:
        value = getattr(settings, found[1], None)
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise ConfigurationError(
                f"cannot use ${{{found[1]}}} in {self.pack}/schema/{self.name}: "
                "there is no setting of that name that is a number"
            )
        return str(value)


@dataclass(frozen=True)
class Report:
    """What a setup did, one line each; nothing when everything was there already."""

    pack: str
    done: tuple[str, ...]


def read_migrations(pack: Pack) -> list[Migration]:
    """A pack's migrations by number; raises ConfigurationError for a wrong or doubled number."""
    migrations = [_read(pack, path) for path in pack.migrations]
    numbers = [migration.number for migration in migrations]
    if numbers != list(range(1, len(numbers) + 1)):
        raise ConfigurationError(
            f"cannot use {pack.folder / 'schema'}: its files must be numbered 001, 002 and so on, "
            f"each once, and they are {', '.join(migration.name for migration in migrations)}"
        )
    return migrations


def set_up(
    store: Store, packs: Sequence[Pack], settings: Settings, show: Run | None = None
) -> list[Report]:
    """Apply what is missing; with `show`, only pass each statement that would run to it."""
    run = show or store.command
    if not _ledger_exists(store):
        for statement in LEDGER:
            run(statement)
    return [_set_up_pack(store, pack, settings, run, dry=show is not None) for pack in packs]


def _set_up_pack(store: Store, pack: Pack, settings: Settings, run: Run, *, dry: bool) -> Report:
    done = []
    applied = _applied(store, pack)
    for migration in read_migrations(pack):
        known = applied.get(migration.number)
        if known is None:
            _apply(pack, migration, settings, run)
            if not dry:
                _note(store, migration)
            done.append(f"applied {migration.name}")
        elif known != migration.checksum:
            raise ConfigurationError(
                f"cannot set up the pack {pack.name!r}: {pack.folder}/schema/{migration.name} was "
                "changed after it was applied. Restore it, and write the change as a new file"
            )
    done.extend(_retain(store, pack, settings, run))
    return Report(pack.name, tuple(done))


def _apply(pack: Pack, migration: Migration, settings: Settings, run: Run) -> None:
    """Run the statements of a file; a StoreError tells which one was refused."""
    for number, statement in enumerate(migration.statements(settings), 1):
        try:
            run(statement)
        except StoreUnavailableError:
            raise
        except StoreError as error:
            path = pack.folder / "schema" / migration.name
            raise StoreError(
                f"cannot apply {path}, statement {number}: {error}", code=error.code
            ) from error


def _retain(store: Store, pack: Pack, settings: Settings, run: Run) -> Iterator[str]:
    """Bring the TTL of tables that are there to the retention that is set."""
    for table, column in pack.retention.items():
        present = _ttl_days(store, table, column)
        if present is not None and present != settings.retention_days:
            # Whole parts are dropped (ttl_only_drop_parts), so none has to be rewritten.
            run(
                f"ALTER TABLE {table} MODIFY TTL toDateTime({column}) "
                f"+ INTERVAL {settings.retention_days} DAY SETTINGS materialize_ttl_after_modify = 0"
            )
            yield f"changed the retention of {table} from {present} to {settings.retention_days} days"


def _ttl_days(store: Store, table: str, column: str) -> int | None:
    database, name = table.split(".")
    found = store.query(
        "SELECT extract(engine_full, {pattern:String}) FROM system.tables "
        "WHERE database = {database:String} AND name = {name:String}",
        {
            "pattern": rf"TTL toDateTime\({column}\) \+ toIntervalDay\((\d+)\)",
            "database": database,
            "name": name,
        },
    )
    return int(found.value()) if found.rows and found.value() else None


def _read(pack: Pack, path: Path) -> Migration:
    named = _FILE_NAME.fullmatch(path.name)
    if named is None:
        raise ConfigurationError(
            f"cannot use {path}: a migration is named like 001_tables.sql, in small letters"
        )
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"cannot read {path}: it is not UTF-8. Save it as UTF-8"
        ) from error
    return Migration(pack.name, int(named[1]), path.name, text)


def _ledger_exists(store: Store) -> bool:
    return bool(store.query("EXISTS TABLE tailrace.migrations").value())


def _applied(store: Store, pack: Pack) -> dict[int, str]:
    """Checksums of a pack's applied migrations by number."""
    try:
        rows = store.query(
            "SELECT number, checksum FROM tailrace.migrations FINAL WHERE pack = {pack:String}",
            {"pack": pack.name},
        ).rows
    except TableMissingError:  # only in a dry run
        return {}
    return dict(rows)


def _note(store: Store, migration: Migration) -> None:
    store.command(
        "INSERT INTO tailrace.migrations (pack, number, name, checksum) "
        "SELECT {pack:String}, {number:UInt32}, {name:String}, {checksum:String}",
        {
            "pack": migration.pack,
            "number": migration.number,
            "name": migration.name,
            "checksum": migration.checksum,
        },
    )

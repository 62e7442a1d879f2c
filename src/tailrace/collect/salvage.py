"""Saves what can be read of a damaged SQLite file.

The damaged file is kept aside, whole, beside the new one. Each table is read row by row until it
goes wrong, so what is saved are rows as they were, never parts of one.
"""

import os
import shutil
import sqlite3
import struct
from contextlib import closing, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

_BESIDE = ("-wal", "-shm")
_HEADER_BYTES = 32
_PAGE_BYTES = struct.Struct(">16xH")
_PAGES = struct.Struct(">28xI")
_MOST_BYTES = 1024**3
"""A header that says more is part of the damage."""


class DamagedError(Exception):
    """A file that cannot be what it was."""


def open_sound(path: Path, tables: str) -> sqlite3.Connection:
    """Open or create a file with these tables, as SQL; raises DamagedError."""
    database = sqlite3.connect(path, timeout=30)
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        _check(database, tables)
    # UnicodeDecodeError: what SQLite says quotes names that are no text any more.
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        database.close()
        if _is_damage(error):
            raise DamagedError(str(error)) from error
        raise
    except BaseException:
        database.close()
        raise
    return database


def _is_damage(error: sqlite3.DatabaseError | UnicodeDecodeError) -> bool:
    """Whether the file itself is wrong, rather than the disk, or somebody who holds it."""
    if isinstance(error, UnicodeDecodeError):
        return True
    code = error.sqlite_errorcode
    return code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or (
        code == sqlite3.SQLITE_IOERR_SHORT_READ
    )


def _check(database: sqlite3.Connection, tables: str) -> None:
    (said,) = database.execute("PRAGMA quick_check(1)").fetchone()
    if said != "ok":
        raise DamagedError(str(said))
    database.executescript(tables)
    with closing(sqlite3.connect(":memory:")) as model:
        model.executescript(tables)
        if _columns(model).items() - _columns(database).items():
            raise DamagedError("its tables have other columns")


def _columns(database: sqlite3.Connection) -> dict[str, str]:
    return dict(
        database.execute(
            "SELECT t.name, group_concat(c.name) FROM sqlite_master AS t, "
            "pragma_table_info(t.name) AS c WHERE t.type = 'table' GROUP BY t.name"
        )
    )


def set_aside(path: Path, now_ms: int) -> Path:
    """Give a file, and what SQLite keeps beside it, a name that says that it is damaged."""
    aside = path.with_name(f"{path.name}.{now_ms}.damaged")
    for ending in ("", *_BESIDE):
        with suppress(FileNotFoundError):
            path.with_name(path.name + ending).replace(aside.with_name(aside.name + ending))
    return aside


def copy_readable(damaged: Path, target: sqlite3.Connection) -> dict[str, int]:
    """Copy into the tables of `target` what they have in the damaged file; rows by table."""
    saved: dict[str, int] = {}
    with TemporaryDirectory(dir=damaged.parent) as folder:
        copy = _copy_in_full_length(damaged, Path(folder))
        names = target.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (name,) in names:
            with suppress(sqlite3.Error):
                saved[name] = _copy_table(name, copy, target)
    return saved


def _copy_table(name: str, damaged: Path, target: sqlite3.Connection) -> int:
    """Rows that were copied before something went wrong."""
    copied = 0
    unreadable = (sqlite3.DatabaseError, UnicodeDecodeError)
    with closing(sqlite3.connect(damaged)) as source, suppress(*unreadable):
        for row in source.execute(f"SELECT * FROM {name}"):  # noqa: S608 (our own names)
            marks = ", ".join("?" * len(row))
            target.execute(f"INSERT OR IGNORE INTO {name} VALUES ({marks})", row)  # noqa: S608
            copied += 1
    return copied


def _copy_in_full_length(damaged: Path, folder: Path) -> Path:
    """A copy that is as long as its header says: of one that is shorter SQLite reads nothing."""
    copy = folder / "copy.db"
    shutil.copyfile(damaged, copy)
    with suppress(FileNotFoundError):
        shutil.copyfile(f"{damaged}-wal", f"{copy}-wal")
    with copy.open("r+b") as file:
        header = file.read(_HEADER_BYTES)
        if len(header) == _HEADER_BYTES:
            page_bytes, pages = _PAGE_BYTES.unpack_from(header)[0], _PAGES.unpack_from(header)[0]
            full_bytes = page_bytes * pages
            if file.seek(0, os.SEEK_END) < full_bytes <= _MOST_BYTES:
                file.truncate(full_bytes)
    return copy

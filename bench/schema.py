"""Compares keys, codecs and indexes of the table of logs, on the embedded engine.

    python -m bench.schema --rows 10000000

Each variant is the table of the `logs` pack with something replaced. It is filled from the same
rows in blocks of the collector's size, merged, and asked what the pages ask. Results are printed as
a table; docs/decisions/001-key-and-indexes.md has those of one run.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import chdb.session

from tailrace.packs import find_packs
from tailrace.settings import Settings
from tailrace.store.migrations import read_migrations

ROWS_A_FILE = 1_000_000
ROWS_A_BLOCK = 65_536
RUNS = 15
INSERT = (
    f"async_insert = 0, max_insert_threads = 1, min_insert_block_size_rows = {ROWS_A_BLOCK}, "
    "min_insert_block_size_bytes = 1000000000, materialize_skip_indexes_on_insert = 0, "
    "max_partitions_per_insert_block = 0"
)
COLUMNS = "timestamp, log_level, message, source, host, trace_id, span_id, attributes, received_at, arrival"
# Otherwise the second run of a question knows which granules the first found nothing in.
COLD = "SETTINGS use_query_condition_cache = 0"
NEWEST = f"ORDER BY timestamp DESC, arrival DESC LIMIT 100 {COLD}"
PAGE = f"SELECT {COLUMNS} FROM {{table}}"


@dataclass(frozen=True)
class Variant:
    """The table with some of its text replaced (regular expression, replacement)."""

    name: str
    changes: tuple[tuple[str, str], ...] = ()


KEY = r"PRIMARY KEY timestamp\nORDER BY \(timestamp, arrival\)"

VARIANTS = (
    Variant("(timestamp, arrival), as it is"),
    Variant(
        "(5 min, source, timestamp)",
        ((KEY, "ORDER BY (toStartOfFiveMinutes(timestamp), source, timestamp)"),),
    ),
    Variant(
        "(hour, source, level, timestamp)",
        ((KEY, "ORDER BY (toStartOfHour(timestamp), source, log_level, timestamp)"),),
    ),
    Variant("as it is, LZ4 in place of ZSTD", ((r"ZSTD\(\d\)", "LZ4"),)),
    Variant("as it is, without indexes", ((r",\s*INDEX [^\n]*?(?=,\n|\n\))", ""),)),
)

QUESTIONS = {
    "newest 100": f"{PAGE} {NEWEST}",
    "newest 100 errors": f"{PAGE} WHERE log_level = 'ERROR' {NEWEST}",
    "newest 100 of a source": f"{PAGE} WHERE source = 'profile' {NEWEST}",
    "100 older, from the middle": f"{PAGE} WHERE timestamp <= '{{middle}}' {NEWEST}",
    "rare word": f"{PAGE} WHERE hasAllTokens(lower(message), ['exhausted']) {NEWEST}",
    "common word": f"{PAGE} WHERE hasAllTokens(lower(message), ['search']) {NEWEST}",
    "word that is nowhere": f"{PAGE} WHERE hasAllTokens(lower(message), ['xyzzy']) {NEWEST}",
    "attribute of few rows": f"{PAGE} WHERE has(attribute_items, 'user_id={{user}}') {NEWEST}",
    "one trace": f"{PAGE} WHERE trace_id = '{{trace}}' {NEWEST}",
    "last hour by minute and level": "SELECT toStartOfMinute(timestamp) AS minute, log_level, count() "
    "FROM {table} WHERE timestamp > subtractHours(toDateTime64('{newest}', 9, 'UTC'), 1) "
    f"GROUP BY minute, log_level ORDER BY minute {COLD}",
    "count of everything by source": "SELECT source, count() FROM {table} GROUP BY source",
}


def main() -> None:
    """Fill, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    rows: int = parser.parse_args().rows
    with tempfile.TemporaryDirectory(prefix="tailrace-bench-") as folder:
        open_session: Any = chdb.session.Session
        session = open_session(f"{folder}/clickhouse")
        for statement in pack_statements():
            session.query(statement)
        load(session, Path(folder), rows)
        names = [create(session, number, variant) for number, variant in enumerate(VARIANTS)]
        print_table([measure(session, *pair) for pair in zip(VARIANTS, names, strict=True)])
        session.close()


def pack_statements() -> Iterator[str]:
    """The pack's migrations, as `tailrace setup` runs them."""
    settings = Settings.read()
    [pack] = find_packs(settings, ["logs"])
    for migration in read_migrations(pack):
        yield from migration.statements(settings)


def load(session: Any, folder: Path, rows: int) -> None:
    """Generate rows and send them through the pack's own views."""
    path = folder / "lines.json"
    for number in range(-(-rows // ROWS_A_FILE)):
        path.unlink(missing_ok=True)  # a generator appends
        hour, minute = divmod(number * ROWS_A_FILE // 1000 // 60, 60)
        subprocess.run(
            [sys.executable, "-m", "tailrace", "generate", "logs", "--to", str(path)]
            + ["--count", str(ROWS_A_FILE), "--seed", str(number)]
            + ["--start", f"2026-01-{1 + hour // 24:02d}T{hour % 24:02d}:{minute:02d}:00Z"],
            check=True,
            stderr=subprocess.DEVNULL,
        )
        started = time.monotonic()
        session.query(
            "INSERT INTO logs.intake (json) SELECT line "
            f"FROM file('{path}', LineAsString, 'line String') SETTINGS {INSERT}"
        )
        print(f"intake: {ROWS_A_FILE / (time.monotonic() - started):,.0f} rows/s", flush=True)


def create(session: Any, number: int, variant: Variant) -> str:
    """Make the variant's table."""
    name = f"logs.variant{number}"
    sql = ask(session, "SHOW CREATE TABLE logs.application_logs FORMAT TSVRaw")
    sql = sql.replace("logs.application_logs", name)
    for pattern, replacement in variant.changes:
        sql, found = re.subn(pattern, replacement, sql)
        if not found:
            raise SystemExit(f"BUG: {variant.name}: nothing matches {pattern}")
    session.query(sql)
    return name


def measure(session: Any, variant: Variant, table: str) -> dict[str, str]:
    """Fill the table, merge it, and ask it each question."""
    figures = {"variant": variant.name}
    started = time.monotonic()
    session.query(
        f"INSERT INTO {table} ({COLUMNS}) SELECT {COLUMNS} FROM logs.application_logs "
        f"SETTINGS {INSERT}, max_threads = 1"
    )
    rows = int(ask(session, f"SELECT count() FROM {table}"))
    figures["insert, thousand rows/s"] = f"{rows / (time.monotonic() - started) / 1000:,.0f}"
    started = time.monotonic()
    session.query(f"OPTIMIZE TABLE {table} FINAL")
    figures["merge, s"] = f"{time.monotonic() - started:.0f}"
    database, name = table.split(".")
    of_table = f"WHERE active AND database = '{database}' AND table = '{name}'"
    figures["bytes a row, data"] = ask(
        session,
        f"SELECT round(sum(data_compressed_bytes) / sum(rows), 1) FROM system.parts {of_table}",
    )
    figures["bytes a row, indexes"] = ask(
        session,
        "SELECT round(sum(secondary_indices_compressed_bytes) / sum(rows), 1) "
        f"FROM system.parts {of_table}",
    )
    somewhere = (
        "FROM logs.application_logs WHERE trace_id != '' AND attributes['user_id'] != '' "
        "ORDER BY cityHash64(trace_id) LIMIT 1"
    )
    known = {
        "table": table,
        "middle": ask(session, "SELECT quantile(0.5)(timestamp) FROM logs.application_logs"),
        "newest": ask(session, "SELECT max(timestamp) FROM logs.application_logs"),
        "trace": ask(session, f"SELECT trace_id {somewhere}"),
        "user": ask(session, f"SELECT attributes['user_id'] {somewhere}"),
    }
    for label, question in QUESTIONS.items():
        figures[label] = timed(session, question.format(**known))
    columns = ask(
        session,
        "SELECT column, round(sum(column_data_compressed_bytes) / sum(rows), 2) AS size "
        f"FROM system.parts_columns {of_table} GROUP BY column ORDER BY size DESC",
    )
    print(variant.name, columns.replace("\t", " ").replace("\n", ", "), flush=True)
    return figures


def timed(session: Any, sql: str) -> str:
    """Median and slowest of some runs, in ms, after one that warms up."""
    took = []
    for _ in range(RUNS + 1):
        started = time.monotonic()
        session.query(sql, "Null")
        took.append((time.monotonic() - started) * 1000)
    return f"{median(took[1:]):.1f} / {max(took[1:]):.1f}"


def ask(session: Any, sql: str) -> str:
    """The answer as tab-separated text."""
    return str(session.query(sql, "TSVRaw")).strip()


def print_table(results: list[dict[str, str]]) -> None:
    """A Markdown table, one column a variant."""
    for row in results[0]:
        print("| " + " | ".join([row, *(result[row] for result in results)]) + " |")
        if row == "variant":
            print("| --- " * (len(results) + 1) + "|")


if __name__ == "__main__":
    main()

"""`tailrace doctor`: whether everything that was taken is where it should be, and all is well."""

import platform
import shutil
import socket
import sys
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Literal
from urllib.error import URLError
from urllib.parse import urlsplit

import orjson
import typer
from rich.console import Console
from rich.text import Text

from tailrace.cli._accounts import Accounts, Finding, Gap
from tailrace.cli.options import ClickhouseUrl, CollectorPort, DataDir, EnginePort
from tailrace.cli.terminal import note
from tailrace.clock import utc_now
from tailrace.collect.books import ACCEPTED, Books, note_removed, read_books, together
from tailrace.collect.config import load
from tailrace.collect.ledger import FILE as LEDGER
from tailrace.collectors import FIRST, addresses, known_workers, name_of, started_workers
from tailrace.errors import StoreError, TailraceError, UsageError
from tailrace.packs import find_usable
from tailrace.settings import Settings
from tailrace.store import Store
from tailrace.store.census import Census

ANSWER_SECS = 3.0
LEAST_FREE_BYTES = 1024**3
MARKS = {"ok": ("✓", "green"), "warn": ("!", "yellow"), "bad": ("✗", "bold red")}


def doctor(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FILE...]", help="Pipelines; default: those that `up` runs"),
    ] = None,
    accept: Annotated[
        bool, typer.Option("--accept", help="Rows that are missing now are gone on purpose")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="JSON lines on a terminal, too")] = False,
    data_dir: DataDir = None,
    clickhouse: ClickhouseUrl = None,
    engine_port: EnginePort = None,
    collector_port: CollectorPort = None,
) -> None:
    """Add up source, buffer and table; look at ports, disk, retention and versions.

    Ends with 1 when something is wrong, and says what.
    """
    settings = Settings.read(
        data_dir=data_dir,
        clickhouse_url=clickhouse,
        engine_port=engine_port,
        collector_port=collector_port,
    )
    findings: list[Finding] = []
    gaps: list[Gap] = []
    shows_json = json or not sys.stdout.isatty()
    for finding in _examine(settings, files or [], gaps):
        findings.append(finding)
        _print(finding, as_json=shows_json)
    if accept and gaps:
        for gap in gaps:
            note_removed(settings.data_dir / "buffer", ACCEPTED + gap.place, {gap.day: gap.rows})
        note(f"accepted that {sum(gap.rows for gap in gaps):,} rows are gone")
        raise typer.Exit
    if any(finding.state == "bad" for finding in findings):
        raise typer.Exit(1)


def _examine(settings: Settings, files: Sequence[Path], gaps: list[Gap]) -> Iterator[Finding]:
    is_whole = not files
    paths = files or sorted((settings.data_dir / "pipelines").glob("*.yaml"))
    yield from _versions()
    yield from _disk(settings)
    yield from _ports(settings, paths, "bad" if is_whole else "warn")
    try:
        with Store.from_settings(settings) as store:
            census = Census(store, _arrivals(settings))
            yield Finding("ok", "ClickHouse", f"{census.version()} at {store.address}")
            yield from _retention(settings, census)
            if not paths:
                raise UsageError(
                    f"cannot find pipelines in {settings.data_dir / 'pipelines'}: name the files "
                    "that the collector runs, or another folder by TAILRACE_DATA_DIR"
                )
            config = load(paths)
            buffer = (config.data_dir or settings.data_dir) / "buffer"
            if settings.collector == "vector":
                yield Finding("warn", "books", "Vector keeps none, so nothing can be added up")
                return
            books = {FIRST: read_books(buffer), **_books_of_workers(settings)}
            if len(books) > 1:
                yield from _shares(settings, books)
            accounts = Accounts(
                together(list(books.values())),
                config,
                census,
                settings.rejected_table,
                utc_now().date(),
            )
            yield from accounts.findings()
            gaps += accounts.gaps
    except StoreError as error:
        yield Finding("bad", "ClickHouse", str(error))
    except UsageError:
        raise
    except TailraceError as error:
        yield Finding("bad", "books", str(error))


def _arrivals(settings: Settings) -> dict[str, str]:
    """By table, the column with the time of arrival."""
    packs, _ = find_usable(settings)
    return {table: column for pack in packs for table, column in pack.retention.items()}


def _books_of_workers(settings: Settings) -> dict[str, Books]:
    """Those of every further collector that has ever worked here; one has none before its first work."""
    buffers = {name_of(number): own.data_dir / "buffer" for number, own in known_workers(settings)}
    return {name: read_books(path) for name, path in buffers.items() if (path / LEDGER).exists()}


def _shares(settings: Settings, books: Mapping[str, Books]) -> Iterator[Finding]:
    """What each collector has done; what only one that is not started any more could finish."""
    started = {FIRST} | {name_of(number) for number, _ in started_workers(settings)}
    for name, own in books.items():
        sources = {source for source, kind, _ in own.sums if kind == "received"}
        delivered = sum(own.sum(source, "received") for source in sources & own.waiting.keys())
        text = f"{delivered:,} events delivered"
        if own.waiting_rejected and name not in started:
            workers = name.removeprefix("worker ")
            yield Finding(
                "bad",
                f"books of {name}",
                f"{text}; {own.waiting_rejected:,} rejected rows wait for a table, and it is not "
                f"started any more: run `tailrace up` once with --workers {workers}",
            )
        else:
            yield Finding("ok", f"books of {name}", text)


def _versions() -> Iterator[Finding]:
    parts = [f"{name} {version(name)}" for name in ("tailrace", "chdb-core", "vrl-python")]
    yield Finding("ok", "versions", ", ".join([*parts, f"Python {platform.python_version()}"]))


def _disk(settings: Settings) -> Iterator[Finding]:
    folder = settings.data_dir
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    text = f"{free / 1e9:,.1f} GB free for {settings.data_dir}"
    if free < LEAST_FREE_BYTES:
        yield Finding("bad", "disk", f"{text}: make room, or the collector will take nothing more")
    elif free < settings.buffer_max_bytes:
        most = settings.buffer_max_bytes / 1e9
        yield Finding("warn", "disk", f"{text}: one source's buffer may take {most:,.1f} GB")
    else:
        yield Finding("ok", "disk", text)


def _ports(
    settings: Settings, paths: Sequence[Path], when_silent: Literal["warn", "bad"]
) -> Iterator[Finding]:
    pages = [("web", f"http://{settings.web_host}:{settings.web_port}/healthz")]
    if settings.collector == "tailrace":
        pages += [(name, f"{url}/readyz") for name, url in addresses(settings).items()]
    for name, url in pages:
        problem = _page_problem(url)
        yield Finding(when_silent if problem else "ok", name, problem or f"answers at {url}")
    intakes = (("intake by TCP", settings.intake_tcp), ("intake by HTTP", settings.intake_http))
    listening = "\n".join(path.read_text("utf-8") for path in paths if path.is_file())
    for name, address in intakes:
        if address not in listening:
            continue
        problem = _port_problem(address)
        yield Finding(when_silent if problem else "ok", name, problem or f"listens on {address}")


def _page_problem(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=ANSWER_SECS):  # noqa: S310 (our own address)
            return ""
    except (URLError, OSError) as error:
        return f"{url} does not answer as it should: {error}"


def _port_problem(address: str) -> str:
    try:
        parts = urlsplit(f"tcp://{address}")
        with socket.create_connection((parts.hostname or "", parts.port or 0), ANSWER_SECS):
            return ""
    except (OSError, ValueError) as error:
        return f"nobody listens on {address}: {error}"


def _retention(settings: Settings, census: Census) -> Iterator[Finding]:
    packs, problems = find_usable(settings)
    for problem in problems:
        yield Finding("warn", "pack", str(problem))
    for pack in packs:
        for table in pack.retention:
            if table not in census.tables:
                continue
            days = census.ttl_days(table)
            if days == settings.retention_days:
                yield Finding("ok", "retention", f"{table} keeps rows for {days} days")
            else:
                kept = f"for {days} days" if days else "for ever"
                text = (
                    f"{table} keeps rows {kept}, not for {settings.retention_days}: "
                    "`tailrace setup` puts that right"
                )
                yield Finding("warn", "retention", text)


def _print(finding: Finding, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.buffer.write(orjson.dumps(vars(finding)) + b"\n")
        sys.stdout.buffer.flush()
        return
    mark, style = MARKS[finding.state]
    line = Text(f"{mark} ", style=style) + Text(f"{finding.check}: ", style="bold")
    line.append(finding.text.replace("\n", "\n    "))
    Console(highlight=False, soft_wrap=True).print(line)

"""`tailrace up`: the engine, the collector and the pages under one supervisor."""

import asyncio
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import typer
from rich.console import Console
from rich.text import Text

from tailrace.cli._workers import Division, divide, write_parts
from tailrace.cli.options import (
    ClickhouseUrl,
    Collector,
    DataDir,
    EnginePort,
    IntakeHttp,
    IntakeTcp,
    Packs,
    WebHost,
    WebPort,
    Workers,
)
from tailrace.collectors import FIRST, name_of, worker_settings
from tailrace.collectors import FOLDER as WORKERS_FOLDER
from tailrace.errors import UsageError
from tailrace.packs import Pack, find_packs
from tailrace.settings import Settings
from tailrace.supervisor import (
    ORPHANS_END_SECS,
    Child,
    Listener,
    Say,
    Supervisor,
    await_ports,
    own_folder,
)

COLOURS = {
    "engine": "cyan",
    "collector": "green",
    "worker": "green",
    "web": "blue",
    "setup": "magenta",
}
"""By the first word of a part's name."""
NAME_WIDTH = 9
DEFAULT_PACKS = ("logs",)
VECTOR_STOP_SECS = 5.0
COLLECTOR_STOP_SECS = 2.5
COLLECTORS = "collectors"
UNDIVIDED = Division({}, (), ())

T = TypeVar("T")


def up(  # noqa: PLR0913 — one argument a flag
    packs: Packs = None,
    data_dir: DataDir = None,
    clickhouse: ClickhouseUrl = None,
    engine_port: EnginePort = None,
    web_host: WebHost = None,
    web_port: WebPort = None,
    intake_tcp: IntakeTcp = None,
    intake_http: IntakeHttp = None,
    workers: Workers = None,
    collector: Collector = None,
) -> None:
    """Start everything and keep it alive until Ctrl-C."""
    settings = Settings.read(
        data_dir=data_dir,
        clickhouse_url=clickhouse,
        engine_port=engine_port,
        web_host=web_host,
        web_port=web_port,
        intake_tcp=intake_tcp,
        intake_http=intake_http,
        workers=workers,
        collector=collector,
    )
    run(settings, packs or DEFAULT_PACKS)


def run(settings: Settings, names: Sequence[str], generators: Sequence[Child] = ()) -> None:
    """Run the named packs, with `generators` as further children, until told to stop."""
    packs = find_packs(settings, names)
    settings = settings.model_copy(update={"packs": " ".join(pack.name for pack in packs)})
    if settings.collector == "vector":
        _vector()
        if settings.workers > 1:
            raise UsageError(
                "cannot start workers of Vector: leave out --workers (TAILRACE_WORKERS), and start "
                "more of Vector by yourself, each with a data_dir of its own"
            )
    with own_folder(settings.data_dir) as was_killed:
        pipelines = write_pipelines(settings, packs)
        if not pipelines:
            raise UsageError(
                f"cannot collect for {' '.join(pack.name for pack in packs)}: there is no pipeline.yaml. "
                f"Name a pack that has one as well: {' '.join((*DEFAULT_PACKS, *names))}"
            )
        division = _divide(settings, packs, pipelines)
        await_ports(listeners(settings, packs, division), ORPHANS_END_SECS if was_killed else 0)
        children = [*children_of(settings, packs, pipelines, division), *generators]
        code = asyncio.run(_supervise(settings, packs, children, division))
    if code:
        raise typer.Exit(code)


def own_command(*arguments: str) -> tuple[str, ...]:
    """The command line of another `tailrace` of this installation."""
    return (sys.executable, "-m", "tailrace", *arguments)


def children_of(
    settings: Settings, packs: Sequence[Pack], pipelines: list[Path], division: Division
) -> list[Child]:
    """The processes of a running system, in the order in which they are started."""
    address = settings.clickhouse_address
    engine = Child(
        "engine", own_command("engine"), ready_url=f"{address}/ping", stop_within_secs=1.5
    )
    setup = Child(
        "setup",
        own_command("setup", *(pack.name for pack in packs)),
        after=() if settings.clickhouse_url else (engine.name,),
        once=True,
    )
    web = Child(
        "web",
        own_command("web"),
        ready_url=f"http://{settings.web_host}:{settings.web_port}/healthz",
        stop_within_secs=0.5,
        stops_at_once=True,
    )
    collector = _collector(settings, pipelines, division)
    engines = [] if settings.clickhouse_url else [engine]
    return [*engines, setup, web, collector, *_workers(settings, division)]


def _divide(settings: Settings, packs: Sequence[Pack], pipelines: list[Path]) -> Division:
    if settings.workers == 1:
        return UNDIVIDED
    need_brokers = any("bootstrap_servers" in pack.only_with.values() for pack in packs)
    lacks_brokers = need_brokers and not settings.bootstrap_servers
    return divide(pipelines, settings.workers, lacks_brokers=lacks_brokers)


def _workers(settings: Settings, division: Division) -> list[Child]:
    parts = _write(settings.data_dir / WORKERS_FOLDER, lambda: write_parts(settings, division))
    return [
        Child(
            name_of(number),
            own_command(
                *("collect", *map(str, parts[number])),
                *("--data-dir", str(own.data_dir), "--collector-port", str(own.collector_port)),
            ),
            ready_url=f"{own.collector_address}/healthz",
            after=("setup",),
            stop_within_secs=COLLECTOR_STOP_SECS,
            team=COLLECTORS,
        )
        for number, own in worker_settings(settings)
        if number in parts
    ]


def _collector(settings: Settings, pipelines: list[Path], division: Division) -> Child:
    if settings.collector == "vector":
        # It keeps what it could not deliver in memory: it gets the time to deliver it.
        files = [argument for path in pipelines for argument in ("--config", str(path))]
        command = (_vector(), *files)
        return Child(FIRST, command, after=("setup",), stop_within_secs=VECTOR_STOP_SECS)
    processes = max(settings.workers, settings.transform_workers)
    apart = ("--transform-workers", str(processes)) if division.transformed else ()
    return Child(
        FIRST,
        own_command("collect", *map(str, pipelines), *apart),
        ready_url=f"{settings.collector_address}/healthz",
        stop_within_secs=COLLECTOR_STOP_SECS,
        team=COLLECTORS,
    )


def _vector() -> str:
    path = shutil.which("vector")
    if path is None:
        raise UsageError(
            "cannot find the program `vector` on the PATH. Install it (https://vector.dev), or "
            "leave out --collector vector (TAILRACE_COLLECTOR): Tailrace's own collector runs the "
            "same files"
        )
    return path


def listeners(
    settings: Settings, packs: Sequence[Pack], division: Division = UNDIVIDED
) -> list[Listener]:
    """Every address that `up` is going to listen on for these packs."""
    wanted = [Listener(settings.web_host, settings.web_port, "TAILRACE_WEB_PORT")]
    moved = {name for pack in packs for name in pack.settings}
    wanted += [
        _intake(f"TAILRACE_{name.upper()}", getattr(settings, name))
        for name in ("intake_tcp", "intake_http")
        if name in moved
    ]
    wanted += [
        _intake(variable.environment, str(pack.values(settings)[name]))
        for pack in packs
        for name, variable in pack.variables.items()
        if variable.type == "address"
    ]
    if settings.collector == "tailrace":
        host, port = settings.collector_host, settings.collector_port
        wanted.insert(1, Listener(host, port, "TAILRACE_COLLECTOR_PORT"))
        wanted += [
            Listener(host, own.collector_port, "TAILRACE_COLLECTOR_PORT", str(port + 5))
            for _, own in (worker_settings(settings) if division.shared else ())
        ]
    if not settings.clickhouse_url:
        wanted.insert(
            0, Listener(settings.engine_host, settings.engine_port, "TAILRACE_ENGINE_PORT")
        )
    return wanted


def _intake(setting: str, address: str) -> Listener:
    try:
        parts = urlsplit(f"tcp://{address}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if host is None or port is None:
        raise UsageError(f"cannot use {setting}={address!r}: give HOST:PORT, as in 127.0.0.1:9000")
    return Listener(
        host, port, setting, moved=f"{host}:{port + 10 if port <= 65525 else port - 10}"
    )


def write_pipelines(settings: Settings, packs: Sequence[Pack]) -> list[Path]:
    """Write each pack's pipeline, with the addresses that are set, where the collector reads it."""
    folder = settings.data_dir / "pipelines"

    def write() -> list[Path]:
        folder.mkdir(parents=True, exist_ok=True)
        written = []
        for pack in packs:
            if pack.pipeline is not None:
                path = folder / f"{pack.name}.yaml"
                # it may hold the password for ClickHouse
                path.touch(mode=0o600)
                path.write_text(pack.render_pipeline(settings), encoding="utf-8")
                written.append(path)
        return written

    return _write(folder, write)


def _write(folder: Path, write: Callable[[], T]) -> T:
    try:
        return write()
    except OSError as error:
        raise UsageError(
            f"cannot write into {folder}: {error.strerror}. TAILRACE_DATA_DIR sets another folder"
        ) from error


def _say_text() -> Say:
    console = Console(stderr=True, highlight=False, soft_wrap=True)

    def say(name: str, text: str) -> None:
        label = (f"{name:>{NAME_WIDTH}} │ ", COLOURS.get(name.partition(" ")[0], "bold"))
        console.print(Text.assemble(label, Text.from_ansi(text)))

    return say


def _say_json(name: str, text: str) -> None:
    """A child's line is JSON already, unless it did not get as far as setting up its own log."""
    try:
        said = json.loads(text)
    except ValueError:
        said = text
    fields = said if isinstance(said, dict) else {"event": text}
    sys.stderr.write(json.dumps({"part": name, **fields}, ensure_ascii=False) + "\n")


async def _supervise(
    settings: Settings, packs: Sequence[Pack], children: Sequence[Child], division: Division
) -> int:
    as_json = settings.log_format == "json"
    say = _say_json if as_json else _say_text()
    # The children have no terminal of their own: what they say is for whoever reads ours.
    own = settings.model_copy(update={"log_format": "json" if as_json else "text"})
    environment = {**os.environ, **own.as_environment(), "PYTHONUNBUFFERED": "1"}
    supervisor = Supervisor(children, environment, say)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, supervisor.stop)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(supervisor.run())
        announcer = group.create_task(_announce(settings, packs, supervisor, say, division))
        code = await running
        announcer.cancel()
    say("tailrace", "everything has ended")
    return code


async def _announce(
    settings: Settings,
    packs: Sequence[Pack],
    supervisor: Supervisor,
    say: Say,
    division: Division,
) -> None:
    for name in ("setup", "web", FIRST):
        await supervisor.wait_ready(name)
    if settings.workers > 1:
        say("tailrace", f"workers:  {division.describe(settings.workers)}")
    for pack in packs:
        if pack.entrance:
            say("tailrace", f"{pack.name} in:  {pack.entrance_of(settings)}")
    say("tailrace", f"pages:    http://{settings.web_host}:{settings.web_port}")
    say("tailrace", "Ctrl-C ends it; nothing is lost")

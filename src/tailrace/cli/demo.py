"""`tailrace demo`: `up` with generators, so that there is something to look at."""

from typing import Annotated

import typer

from tailrace.cli.options import (
    DataDir,
    EnginePort,
    IntakeHttp,
    IntakeTcp,
    Packs,
    WebHost,
    WebPort,
    Workers,
)
from tailrace.cli.up import DEFAULT_PACKS, own_command, run
from tailrace.collectors import FIRST
from tailrace.errors import UsageError
from tailrace.packs import Pack, find_packs, find_usable
from tailrace.settings import Settings
from tailrace.supervisor import Child

DEMO_EVENTS_PER_SEC = 25.0
HISTORY = "15m"
"""What a new data folder begins with, so that there is something to look around in at once."""
NEVER = str(10**9)


def demo(  # noqa: PLR0913 — one argument a flag
    packs: Packs = None,
    data_dir: DataDir = None,
    engine_port: EnginePort = None,
    web_host: WebHost = None,
    web_port: WebPort = None,
    intake_tcp: IntakeTcp = None,
    intake_http: IntakeHttp = None,
    workers: Workers = None,
    rate: Annotated[
        float | None,
        typer.Option(
            envvar="TAILRACE_DEMO_RATE",
            help="Events a second that each pack makes",
            show_default=f"{DEMO_EVENTS_PER_SEC:g}",
        ),
    ] = None,
    every: Annotated[
        bool,
        typer.Option("--all", envvar="TAILRACE_DEMO_ALL", help="Every pack that can run here"),
    ] = False,
) -> None:
    """Start everything and a generator for each pack, until Ctrl-C."""
    settings = Settings.read(
        data_dir=data_dir,
        engine_port=engine_port,
        web_host=web_host,
        web_port=web_port,
        intake_tcp=intake_tcp,
        intake_http=intake_http,
        workers=workers,
    )
    if packs and every:
        raise UsageError(f"cannot use --all with {' '.join(packs)}: name packs, or run all of them")
    chosen = _that_can_run(settings) if every else find_packs(settings, packs or DEFAULT_PACKS)
    # Of a ClickHouse elsewhere it is not known whether it is new.
    is_new = not settings.clickhouse_url and not (settings.data_dir / "clickhouse").exists()
    generators = [
        _generator(pack, settings, rate, is_new=is_new) for pack in chosen if pack.has_generator
    ]
    run(settings, [pack.name for pack in chosen], generators)


def _that_can_run(settings: Settings) -> list[Pack]:
    """Every pack but those that say that they cannot run on this machine."""
    able = []
    packs, problems = find_usable(settings)
    for problem in problems:
        typer.echo(f"tailrace: leaving out a pack: {problem}", err=True)
    for pack in packs:
        try:
            pack.demo_target(settings)
            able.append(pack)
        except UsageError as error:
            typer.echo(f"tailrace: leaving out {pack.name}: {error}", err=True)
    return able


def _generator(pack: Pack, settings: Settings, rate: float | None, *, is_new: bool) -> Child:
    # It waits for the collector for as long as it takes: started anew, it would send the past twice.
    command = own_command(
        *("generate", pack.name, "--to", pack.demo_target(settings), "--give-up-secs", NEVER),
        *_pace(pack, settings, rate, is_new=is_new),
    )
    # One that was asked for so many events ends well when it has made them, and is not needed again.
    return Child(
        f"generate {pack.name}",
        command,
        after=("setup", FIRST),
        once=True,
        stop_within_secs=0.5,
        team="generators",
    )


def _pace(pack: Pack, settings: Settings, rate: float | None, *, is_new: bool) -> tuple[str, ...]:
    """Options of the generator: the rate, unless the environment has one by the pack's own names."""
    if rate is None:
        if {"rate", "batch_size", "interval"} & pack.own_options(settings).keys():
            return ()
        rate = DEMO_EVENTS_PER_SEC
    return ("--rate", str(rate), *(("--backfill", HISTORY) if is_new and rate > 0 else ()))

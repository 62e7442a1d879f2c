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
)
from tailrace.cli.up import DEFAULT_PACKS, own_command, run
from tailrace.packs import Pack, find_packs
from tailrace.settings import Settings
from tailrace.supervisor import Child

DEMO_EVENTS_PER_SEC = 25.0
HISTORY = "15m"
"""What a new data folder begins with, so that there is something to look around in at once."""
NEVER = str(10**9)


def demo(
    packs: Packs = None,
    data_dir: DataDir = None,
    engine_port: EnginePort = None,
    web_host: WebHost = None,
    web_port: WebPort = None,
    intake_tcp: IntakeTcp = None,
    intake_http: IntakeHttp = None,
    rate: Annotated[
        float,
        typer.Option(envvar="TAILRACE_DEMO_RATE", help="Events a second that each pack makes"),
    ] = DEMO_EVENTS_PER_SEC,
) -> None:
    """Start everything and a generator for each pack, until Ctrl-C."""
    settings = Settings.read(
        data_dir=data_dir,
        engine_port=engine_port,
        web_host=web_host,
        web_port=web_port,
        intake_tcp=intake_tcp,
        intake_http=intake_http,
    )
    names = packs or DEFAULT_PACKS
    # Of a ClickHouse elsewhere it is not known whether it is new.
    is_new = not settings.clickhouse_url and not (settings.data_dir / "clickhouse").exists()
    generators = [
        _generator(pack, settings, rate, with_history=is_new and rate > 0)
        for pack in find_packs(settings, names)
        if pack.has_generator
    ]
    run(settings, names, generators)


def _generator(pack: Pack, settings: Settings, rate: float, *, with_history: bool) -> Child:
    # It waits for the collector for as long as it takes: started anew, it would send the past twice.
    command = own_command(
        *("generate", pack.name, "--rate", str(rate), "--to", pack.demo_target(settings)),
        *("--give-up-secs", NEVER),
        *(("--backfill", HISTORY) if with_history else ()),
    )
    return Child(
        f"generate {pack.name}", command, after=("setup", "collector"), stop_within_secs=0.5
    )

"""`tailrace generate PACK`: make events of a pack and send them somewhere.

With `--rate` events leave when they happen, in small steps. Without, `--count` events leave as fast
as the target takes them. Times are the present's, or run from `--start` at the rate; the same seed,
rate, count and start give the same bytes. With `--backfill` the events of a time that is past leave at
once, and then they go on as they happen. With `--batch-size` and `--interval` events leave so many at
once, those that happened since the last ones did.

A pack may have names of its own for these options in the environment (`variables` in `pack.yaml`);
the options and their TAILRACE_GENERATE_… beat them.
"""

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from tailrace.cli._job import Batches, Job
from tailrace.cli._senders import open_sender, shown
from tailrace.clock import Clock, SystemClock
from tailrace.errors import QueryError, UsageError
from tailrace.packs import Pack, find_packs
from tailrace.packs.generator import Generator, Keys
from tailrace.packs.sender import GaveUpError, Patience, Sender, SenderFactory, Tally
from tailrace.packs.variables import Value
from tailrace.search.times import parse_moment
from tailrace.settings import Settings

ENDLESS_EVENTS_PER_SEC = 100.0
"""Rate when neither a rate nor a count was asked for."""
IMITATED_EVENTS_PER_SEC = 1000.0
"""Rate of the events' times when they are sent as fast as possible from a given start."""
SLOWEST_PER_SEC = 1e-6
FASTEST_PER_SEC = 1e12
MOST_AT_ONCE = 1_000_000
"""A batch is held in memory."""


Target = Annotated[
    str | None,
    typer.Option(
        envvar="TAILRACE_GENERATE_TO",
        help="tcp://HOST:PORT, http://…, kafka://BROKER:PORT/TOPIC, a file (appended to), or - "
        "for standard output",
        show_default="where the pack takes events in",
    ),
]
Rate = Annotated[
    float | None,
    typer.Option(
        envvar="TAILRACE_GENERATE_RATE",
        min=0,
        help="Events a second; 0 is as fast as possible",
        show_default="100, with --count as fast as possible",
    ),
]
Count = Annotated[
    int | None,
    typer.Option(
        "--count",
        "--max-logs",
        envvar="TAILRACE_GENERATE_COUNT",
        min=0,
        help="How many events",
        show_default="endless",
    ),
]
BatchSize = Annotated[
    int | None,
    typer.Option(
        envvar="TAILRACE_GENERATE_BATCH_SIZE",
        min=1,
        help="Events that leave at once, in place of --rate",
        show_default="with --interval 1",
    ),
]
Interval = Annotated[
    float | None,
    typer.Option(
        envvar="TAILRACE_GENERATE_INTERVAL",
        min=0.001,
        help="Seconds from one --batch-size to the next",
        show_default="1, with --batch-size",
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(envvar="TAILRACE_GENERATE_SEED", help="The same seed makes the same events"),
]
Start = Annotated[
    str | None,
    typer.Option(
        envvar="TAILRACE_GENERATE_START",
        help="Time of the first event, as 2026-01-31T12:00:00Z",
        show_default="now",
    ),
]
Backfill = Annotated[
    str | None,
    typer.Option(
        envvar="TAILRACE_GENERATE_BACKFILL",
        help="Begin with the events of so long ago, sent at once: 15m, 1h",
        show_default="none",
    ),
]
GiveUpSecs = Annotated[
    float,
    typer.Option(
        envvar="TAILRACE_GENERATE_GIVE_UP_SECS",
        min=0,
        help="How long to try to reach a target that is away",
    ),
]


def generate(  # noqa: PLR0913 — one argument a flag
    pack: Annotated[str, typer.Argument(help="Whose events")],
    to: Target = None,
    rate: Rate = None,
    count: Count = None,
    batch_size: BatchSize = None,
    interval: Interval = None,
    seed: Seed = None,
    start: Start = None,
    backfill: Backfill = None,
    give_up_secs: GiveUpSecs = 60.0,
) -> None:
    """Make events and send them; ends with 1 when some could not be sent."""
    settings = Settings.read()
    [chosen] = find_packs(settings, [pack])
    own = chosen.own_options(settings)
    count, seed = _or(count, own.get("count")), _or(seed, own.get("seed"))
    target = str(to or own.get("to") or chosen.demo_target(settings))
    rate, batches = _pace(rate, batch_size, interval, own)
    if rate is None:
        rate = ENDLESS_EVENTS_PER_SEC if count is None or backfill else 0.0
    start_ns = None if start is None else _read_time(start)
    if backfill is not None and (start is not None or batches or not rate):
        raise UsageError(
            "cannot use --backfill with --start, --batch-size or --rate 0: the past is filled at "
            "the rate at which events then go on"
        )
    generator = _generator(chosen, seed, rate or IMITATED_EVENTS_PER_SEC)
    with _stop_on_signals() as stop:
        patience = Patience(stop, SystemClock(), _say, give_up_secs)
        sender = _open(chosen, settings, target, patience)
        job = Job(generator, sender, patience.clock, stop, rate or None, count, start_ns)
        job.batches = batches
        if backfill is not None:
            job.past_ns = _read_past(backfill, job.clock)
        _run(job, target)
    if sender.tally.not_sent:
        raise typer.Exit(1)


def _or(given: int | None, own: Value) -> int | None:
    return given if given is not None or own is None else int(own)


def _pace(
    rate: float | None, batch_size: int | None, interval: float | None, own: Mapping[str, Value]
) -> tuple[float | None, Batches | None]:
    """Events a second, and whether they leave in batches; a rate beats what the environment says."""
    if rate is not None:
        _check_rate(rate)
        if batch_size is not None or interval is not None:
            raise UsageError(
                "cannot use --rate with --batch-size or --interval: either events leave when they "
                "happen, or so many at once"
            )
        return rate, None
    events = own.get("batch_size") if batch_size is None else batch_size
    secs = own.get("interval") if interval is None else interval
    if events is None and secs is None:
        own_rate = own.get("rate")
        if own_rate is None:
            return None, None
        _check_rate(float(own_rate))
        return float(own_rate), None
    batches = Batches(1 if events is None else int(events), 1.0 if secs is None else float(secs))
    if not 1 <= batches.events <= MOST_AT_ONCE or not 0 < batches.secs <= 1 / SLOWEST_PER_SEC:
        raise UsageError(
            f"cannot send {batches.events:.7g} events every {batches.secs:g} s: give 1 to "
            f"{MOST_AT_ONCE} events, and at most {1 / SLOWEST_PER_SEC:.0f} s"
        )
    return batches.events / batches.secs, batches


def _check_rate(rate: float) -> None:
    if rate and not SLOWEST_PER_SEC <= rate <= FASTEST_PER_SEC:
        raise UsageError(
            f"cannot send {rate:g} events a second: give a number from {SLOWEST_PER_SEC:f} to "
            f"{FASTEST_PER_SEC:.0f}, or 0 for as fast as possible"
        )


def _open(pack: Pack, settings: Settings, target: str, patience: Patience) -> Sender:
    """The way to `target`: the pack's own where it has one for the scheme."""
    scheme, separator, _ = target.partition("://")
    if separator and scheme in pack.targets:
        make: SenderFactory = pack.load(pack.targets[scheme])
        return make(target, patience, pack.values(settings))
    if scheme == "kafka":
        # librdkafka takes a tenth of a second to load, which only this needs.
        from tailrace.cli._kafka_sender import open_kafka

        keys: Keys | None = pack.load(pack.keys) if pack.keys else None
        return open_kafka(target, patience, keys, settings)
    return open_sender(target, patience)


def _run(job: Job, target: str) -> None:
    started = job.clock.monotonic()
    try:
        with _display(job) as show:
            for _ in job.run():
                show(job.sender.tally)
    except GaveUpError as error:
        _say(str(error))
    finally:
        job.sender.close()
        _say(_summary(job.sender.tally, shown(target), job.clock.monotonic() - started))


@contextmanager
def _display(job: Job) -> Iterator[Callable[[Tally], None]]:
    """A line of progress while standard error is a terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as progress:
        task = progress.add_task("sending", total=job.count)
        started = job.clock.monotonic()

        def show(tally: Tally) -> None:
            secs = max(job.clock.monotonic() - started, 1e-6)
            progress.update(
                task, completed=tally.sent, description=f"{tally.sent / secs:,.0f} events/s"
            )

        yield show


def _summary(tally: Tally, target: str, secs: float) -> str:
    """What became of the events, in one line."""
    told = (
        f"sent {tally.sent:,} events ({tally.sent_bytes / 1e6:,.1f} MB) to {target} in {secs:,.1f} s, "
        f"{tally.sent / max(secs, 1e-6):,.0f}/s"
    )
    if tally.unconfirmed:
        told += f"; {tally.unconfirmed:,} unconfirmed (their connection was cut)"
    if tally.repeated:
        told += f"; {tally.repeated:,} sent again without knowing whether they had arrived"
    if tally.not_sent:
        told += f"; {tally.not_sent:,} NOT SENT"
    return told


def _generator(pack: Pack, seed: int | None, events_per_sec: float) -> Generator:
    if pack.generator is None:
        raise UsageError(f"cannot generate events of the pack {pack.name!r}: it has no generator")
    made: Generator = pack.call(pack.generator, seed, events_per_sec)
    return made


@contextmanager
def _stop_on_signals() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set; a second one of them ends the process at once."""
    stop = threading.Event()

    def set_stop(number: int, _frame: FrameType | None) -> None:
        stop.set()
        signal.signal(number, signal.SIG_DFL)

    before = {number: signal.signal(number, set_stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _read_time(text: str) -> int:
    """Nanoseconds since 1970 of an ISO 8601 time; without a zone it is UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(
            f"cannot use --start {text!r}: give a time as 2026-01-31T12:00:00Z"
        ) from error
    return _nanos(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def _read_past(text: str, clock: Clock) -> int:
    """Nanoseconds since 1970 of a moment as searches take it: 15m, 1 hour ago, yesterday."""
    now = datetime.fromtimestamp(clock.now_ms() / 1000, UTC)
    try:
        moment = parse_moment(text, now)
    except QueryError as error:
        raise UsageError(f"cannot use --backfill {text!r}: give a time as 15m or 1h") from error
    if moment > now:
        raise UsageError(f"cannot use --backfill {text!r}: it is not in the past")
    return _nanos(moment)


def _nanos(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000


def _say(text: str) -> None:
    typer.echo(f"generate: {text}", err=True)

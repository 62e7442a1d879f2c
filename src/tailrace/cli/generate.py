"""`tailrace generate PACK`: make events of a pack and send them somewhere.

With `--rate` events leave when they happen, in small steps. Without, `--count` events leave as fast
as the target takes them. Times are the present's, or run from `--start` at the rate; the same seed,
rate, count and start give the same bytes. With `--backfill` the events of a time that is past leave at
once, and then they go on as they happen.
"""

import signal
import threading
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
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

from tailrace.cli._senders import GaveUpError, Patience, Sender, Tally, open_sender
from tailrace.clock import Clock, SystemClock
from tailrace.errors import QueryError, UsageError
from tailrace.packs import Pack, find_packs
from tailrace.packs.generator import Generator, GeneratorFactory
from tailrace.search.times import parse_moment
from tailrace.settings import Settings

ENDLESS_EVENTS_PER_SEC = 100.0
"""Rate when neither a rate nor a count was asked for."""
IMITATED_EVENTS_PER_SEC = 1000.0
"""Rate of the events' times when they are sent as fast as possible from a given start."""
UNPACED_EVENT_SECS = 3e-6
"""Time between events that are sent as fast as possible now: about what making one takes."""
TICK_SECS = 0.02
"""At high rates, events leave this often."""
FALLEN_BEHIND_SECS = 1.0


def generate(
    pack: Annotated[str, typer.Argument(help="Whose events")],
    to: Annotated[
        str | None,
        typer.Option(
            envvar="TAILRACE_GENERATE_TO",
            help="tcp://HOST:PORT, http://…, a file (overwritten), or - for standard output",
            show_default="where the pack takes events in",
        ),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(
            envvar="TAILRACE_GENERATE_RATE",
            min=0,
            help="Events a second; 0 is as fast as possible",
            show_default="100, with --count as fast as possible",
        ),
    ] = None,
    count: Annotated[
        int | None,
        typer.Option(
            envvar="TAILRACE_GENERATE_COUNT", min=0, help="How many events", show_default="endless"
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(envvar="TAILRACE_GENERATE_SEED", help="The same seed makes the same events"),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            envvar="TAILRACE_GENERATE_START",
            help="Time of the first event, as 2026-01-31T12:00:00Z",
            show_default="now",
        ),
    ] = None,
    backfill: Annotated[
        str | None,
        typer.Option(
            envvar="TAILRACE_GENERATE_BACKFILL",
            help="Begin with the events of so long ago, sent at once: 15m, 1h",
            show_default="none",
        ),
    ] = None,
    give_up_secs: Annotated[
        float,
        typer.Option(
            envvar="TAILRACE_GENERATE_GIVE_UP_SECS",
            min=0,
            help="How long to try to reach a target that is away",
        ),
    ] = 60.0,
) -> None:
    """Make events and send them; ends with 1 when some could not be sent."""
    settings = Settings.read()
    [chosen] = find_packs(settings, [pack])
    if rate is None:
        rate = ENDLESS_EVENTS_PER_SEC if count is None or backfill else 0.0
    target = to or chosen.demo_target(settings)
    start_ns = None if start is None else _read_time(start)
    if backfill is not None and (start is not None or not rate):
        raise UsageError(
            "cannot use --backfill with --start or with --rate 0: the past is filled at the rate "
            "at which events then go on"
        )
    generator = _generator(chosen, seed, rate or IMITATED_EVENTS_PER_SEC)
    with _stop_on_signals() as stop:
        patience = Patience(stop, SystemClock(), _say, give_up_secs)
        sender = open_sender(target, patience)
        job = Job(generator, sender, patience.clock, stop, rate or None, count, start_ns)
        if backfill is not None:
            job.past_ns = _read_past(backfill, job.clock)
        _run(job, target)
    if sender.tally.not_sent:
        raise typer.Exit(1)


@dataclass
class Job:
    """A generator on its way to a sender. `events_per_sec` is None for as fast as possible."""

    generator: Generator
    sender: Sender
    clock: Clock
    stop: threading.Event
    events_per_sec: float | None = None
    count: int | None = None
    start_ns: int | None = None
    past_ns: int | None = None
    """When the past begins whose events leave at once."""
    given: int = 0

    def run(self) -> Iterator[None]:
        """Send until the count is reached or a stop; yields after each step, for the display.

        Raises GaveUpError, having counted what was left of the count as not sent.
        """
        try:
            yield from self._chunks()
        except GaveUpError:
            if self.count is not None and not self.stop.is_set():
                self.sender.tally.not_sent += self.count - self.given
            raise

    def _chunks(self) -> Iterator[None]:
        event_ns = self.past_ns or self.start_ns or 0
        due = self.clock.monotonic()
        for chunk in self.generator.chunks():
            left = None if self.count is None else self.count - self.given
            if left == 0 or self.stop.is_set():
                return
            secs = chunk.secs
            if self._is_past(event_ns + int(secs * 1e9)):
                self._give(chunk.render(event_ns, secs)[:left])
                event_ns += int(secs * 1e9)
                due = self.clock.monotonic()
                yield
                continue
            if self.start_ns is None:
                if self.events_per_sec is None:
                    secs = UNPACED_EVENT_SECS * len(chunk.offsets)
                event_ns = max(event_ns, self.clock.now_ms() * 1_000_000)
            lines = chunk.render(event_ns, secs)[:left]
            event_ns += int(secs * 1e9)
            if self.events_per_sec is None:
                self._give(lines)
                yield
            else:
                yield from self._paced(lines, chunk.offsets, secs, due)
                due = self._next_due(due + secs)

    def _is_past(self, end_ns: int) -> bool:
        """Whether a chunk that ends then belongs to the past that leaves at once."""
        if self.past_ns is None:
            return False
        if end_ns <= self.clock.now_ms() * 1_000_000:
            return True
        self.past_ns = None  # from here on events happen
        return False

    def _paced(
        self, lines: list[str], offsets: Sequence[float], secs: float, due: float
    ) -> Iterator[None]:
        """Give each line when it is due, those of one tick together."""
        given = 0
        while given < len(lines):
            now = self.clock.monotonic()
            upto = min(bisect_right(offsets, (now - due) / secs), len(lines))
            if upto > given:
                self._give(lines[given:upto])
                given = upto
                yield
                continue
            if self.stop.wait(max(due + offsets[given] * secs - now, TICK_SECS)):
                return

    def _next_due(self, due: float) -> float:
        """When the next chunk begins: what a slow target made us miss is not made up for."""
        now = self.clock.monotonic()
        return now if now - due > FALLEN_BEHIND_SECS else due

    def _give(self, lines: list[str]) -> None:
        self.given += len(lines)
        self.sender.send(lines)


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
        _say(_summary(job.sender.tally, target, job.clock.monotonic() - started))


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
    make: GeneratorFactory = pack.load(pack.generator)
    return make(seed, events_per_sec)


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

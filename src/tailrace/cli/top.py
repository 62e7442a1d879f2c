"""`tailrace top`: what flows through the running collectors, component by component.

With `--workers N` there are several, each with components of the same names: what one of them does not
answer is missing, and that is said; only where none answers there is nothing to show.
"""

import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import Annotated, Any, Final

import httpx
import orjson
import typer
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from tailrace.cli.options import CollectorPort, DataDir
from tailrace.cli.terminal import ending_quietly
from tailrace.collectors import FIRST, addresses
from tailrace.errors import TailraceError
from tailrace.search.visible import visible_text
from tailrace.settings import Settings

KINDS: Final = ("source", "transform", "sink")
TOTALS: Final = {
    "component_received_events_total": "events_in",
    "component_sent_events_total": "events_out",
    "component_sent_event_bytes_total": "bytes_out",
    "component_discarded_events_total": "discarded",
    "component_errors_total": "errors",
    "component_retries_total": "retries",
    "buffer_events": "buffered",
}
"""Columns by the metric that they come from; labels beyond the component's own are added up."""
KIND_STYLES: Final = {"source": "green", "transform": "magenta", "sink": "cyan"}
ANSWER_SECS: Final = 5.0


@dataclass(frozen=True)
class Component:
    """One component, as it stood at one moment."""

    id: str
    kind: str
    type: str
    events_in: int = 0
    events_out: int = 0
    bytes_out: int = 0
    discarded: int = 0
    errors: int = 0
    retries: int = 0
    buffered: int = 0


@dataclass(frozen=True)
class Flow:
    """A component and how fast events go through it."""

    component: Component
    events_in_per_sec: float
    events_out_per_sec: float
    bytes_out_per_sec: float
    collector: str = FIRST
    """Whose it is."""


Sample = tuple[float, Mapping[str, Component]]
"""When it was taken, in seconds, and every component by its id."""

Samples = Mapping[str, Sample | TailraceError]
"""What each collector has answered, or why it did not, by its name."""

NO_PROBLEMS: Final[Mapping[str, str]] = MappingProxyType({})


def top(
    interval: Annotated[
        float, typer.Option(min=0.1, help="Seconds that rates are worked out over")
    ] = 1.0,
    json: Annotated[bool, typer.Option("--json", help="One snapshot as JSON, and end")] = False,
    collector_port: CollectorPort = None,
    data_dir: DataDir = None,
) -> None:
    """Show the collectors' components with their rates; in a pipe, one snapshot as JSON."""
    settings = Settings.read(collector_port=collector_port, data_dir=data_dir)
    urls = urls_of(settings)
    with ending_quietly(), httpx.Client(timeout=ANSWER_SECS, trust_env=False) as client:
        before = take_samples(client, urls)
        if json or not sys.stdout.isatty():
            time.sleep(interval)
            now = take_samples(client, urls)
            print_snapshot(flows_of_all(before, now), problems_of(now))
            return
        console = Console(highlight=False)
        with Live(as_table([]), console=console, screen=True, auto_refresh=False) as live:
            while True:
                time.sleep(interval)
                now = take_samples(client, urls)
                live.update(as_table(flows_of_all(before, now), problems_of(now)), refresh=True)
                before = now


def urls_of(settings: Settings) -> dict[str, str]:
    """Where each collector says what it does, by its name."""
    return {name: f"{address}/metrics" for name, address in addresses(settings).items()}


def take_samples(client: httpx.Client, urls: Mapping[str, str]) -> Samples:
    """Ask all collectors; raises TailraceError where none answers."""
    samples: dict[str, Sample | TailraceError] = {}
    for name, url in urls.items():
        try:
            samples[name] = take_sample(client, url)
        except TailraceError as error:
            samples[name] = error
    problems = [one for one in samples.values() if isinstance(one, TailraceError)]
    if len(problems) == len(samples):
        raise problems[0]
    return samples


def flows_of_all(before: Samples, now: Samples) -> list[Flow]:
    """The flows of every collector that answers; one that did not before has no rates yet."""
    flows = []
    for name, sample in now.items():
        if isinstance(sample, TailraceError):
            continue
        earlier = before[name]
        base = sample if isinstance(earlier, TailraceError) else earlier
        flows += [replace(flow, collector=name) for flow in flows_between(base, sample)]
    return flows


def problems_of(samples: Samples) -> dict[str, str]:
    """Why collectors do not answer, by their names."""
    return {name: str(one) for name, one in samples.items() if isinstance(one, TailraceError)}


def take_sample(client: httpx.Client, url: str) -> Sample:
    """Ask the collector; raises TailraceError where it does not answer."""
    try:
        answer = client.get(url).raise_for_status()
    except httpx.HTTPError as error:
        raise TailraceError(
            f"cannot read {url}: {error}. Is the collector running? TAILRACE_COLLECTOR_PORT and "
            "TAILRACE_COLLECTOR_HOST say where"
        ) from error
    return time.monotonic(), read_components(answer.text)


def read_components(text: str) -> dict[str, Component]:
    """Components in Prometheus' text, sources first, then transforms, then sinks."""
    counts: dict[str, dict[str, Any]] = {}
    kinds: dict[str, tuple[str, str]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            name = sample.labels.get("component_id")
            if name is None:
                continue
            kinds[name] = (sample.labels["component_kind"], sample.labels["component_type"])
            column = TOTALS.get(sample.name)
            if column:
                found = counts.setdefault(name, {})
                found[column] = found.get(column, 0) + int(sample.value)
    ordered = sorted(kinds, key=lambda name: (KINDS.index(kinds[name][0]), name))
    empty = {name: Component(name, kind, type_) for name, (kind, type_) in kinds.items()}
    return {name: replace(empty[name], **counts.get(name, {})) for name in ordered}


def flows_between(before: Sample, now: Sample) -> list[Flow]:
    """Rates from one sample to the next; a component that has started anew counts from zero."""
    secs = max(now[0] - before[0], 1e-9)
    flows = []
    for name, component in now[1].items():
        earlier = before[1].get(name)
        is_same = earlier is not None and earlier.events_out <= component.events_out
        base = earlier if earlier and is_same else Component(name, component.kind, component.type)
        flows.append(
            Flow(
                component,
                (component.events_in - base.events_in) / secs,
                (component.events_out - base.events_out) / secs,
                (component.bytes_out - base.bytes_out) / secs,
            )
        )
    return flows


def print_snapshot(flows: list[Flow], problems: Mapping[str, str]) -> None:
    """One JSON document."""
    components = [
        {
            "collector": flow.collector,
            **asdict(flow.component),
            "events_in_per_sec": round(flow.events_in_per_sec, 1),
            "events_out_per_sec": round(flow.events_out_per_sec, 1),
            "bytes_out_per_sec": round(flow.bytes_out_per_sec, 1),
        }
        for flow in flows
    ]
    document = {"components": components, **({"problems": problems} if problems else {})}
    sys.stdout.buffer.write(orjson.dumps(document) + b"\n")
    sys.stdout.buffer.flush()


def as_table(flows: list[Flow], problems: Mapping[str, str] = NO_PROBLEMS) -> Table:
    """What a person sees."""
    names = list(dict.fromkeys([*(flow.collector for flow in flows), *problems]))
    has_several = len(names) > 1
    table = Table(
        box=None,
        pad_edge=False,
        header_style="bold",
        title="Ctrl-C ends it",
        caption="\n".join(f"{name}: {text}" for name, text in problems.items()) or None,
        caption_style="bold red",
    )
    for name in (*(["collector"] if has_several else []), "component", "kind", "type"):
        table.add_column(name)
    for name in ("in", "in/s", "out", "out/s", "bytes/s", "discarded", "errors", "buffered"):
        table.add_column(name, justify="right")
    for flow in flows:
        one = flow.component
        is_bad = one.errors or one.retries
        table.add_row(
            *([flow.collector] if has_several else []),
            Text(visible_text(one.id), style="bold"),
            Text(one.kind, style=KIND_STYLES[one.kind]),
            one.type,
            f"{one.events_in:,}",
            f"{flow.events_in_per_sec:,.0f}",
            f"{one.events_out:,}",
            f"{flow.events_out_per_sec:,.0f}",
            f"{flow.bytes_out_per_sec:,.0f}",
            f"{one.discarded:,}",
            Text(f"{one.errors + one.retries:,}", style="bold red" if is_bad else ""),
            f"{one.buffered:,}",
        )
    return table

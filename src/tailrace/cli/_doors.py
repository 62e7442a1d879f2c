"""Where rejected rows go to be tried again: the way in of whatever rejected them.

A row names its component. Where that is of a pack's pipeline, the pipeline says the door: the HTTP
source that takes such lines, else the file that is followed, else the sink's table, where nothing
stands before it. A door says which rows are durable behind it; only those are removed.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import httpx
import yaml

from tailrace.cli._senders import last_byte
from tailrace.errors import StoreError, StoreUnavailableError, TailraceError, UsageError
from tailrace.packs import Pack
from tailrace.settings import Settings
from tailrace.store import Store
from tailrace.store.rejected import RejectedLine

_WILD = frozenset("*?[")
_ESCAPED = {b"\\": b"\\\\", b"\t": b"\\t", b"\n": b"\\n"}

Rows = Sequence[RejectedLine]
Component = Mapping[str, Any]


class Door(Protocol):
    """A way in."""

    @property
    def name(self) -> str:
        """As people read it: the file /var/log/x.log."""

    def send(self, rows: Rows) -> list[RejectedLine]:
        """Those rows that are durable behind it. Raises TailraceError where it cannot be reached."""


@dataclass(frozen=True)
class HttpDoor:
    """An HTTP source that takes lines."""

    client: httpx.Client
    url: str

    @property
    def name(self) -> str:
        """Its address."""
        return self.url

    def send(self, rows: Rows) -> list[RejectedLine]:
        """Those that were acknowledged. A row with line breaks in it travels alone."""
        lines = [row for row in rows if b"\n" not in row.raw]
        taken = list(lines) if lines and self._post(lines) else []
        alone = [row for row in rows if b"\n" in row.raw] + ([] if taken else lines)
        return taken + [row for row in alone if self._post([row])]

    def _post(self, rows: Rows) -> bool:
        """Whether the source has acknowledged the rows; False where it will not have them."""
        body = b"".join(row.raw + b"\n" for row in rows)
        try:
            answer = self.client.post(self.url, content=body)
        except httpx.TransportError as error:
            raise TailraceError(
                f"cannot send to {self.url}: {error}. Rows that were not acknowledged stay; is the "
                "collector running? TAILRACE_INTAKE_HTTP and --to name another address"
            ) from error
        if answer.status_code in (408, 429) or answer.status_code >= 500:
            raise TailraceError(
                f"cannot send to {self.url}: it answers {answer.status_code} "
                f"{answer.text.strip()[:200]}. Rows that were not acknowledged stay; try again later"
            )
        return answer.is_success


@dataclass(frozen=True)
class FileDoor:
    """A file that a collector follows; lines are appended."""

    path: Path

    @property
    def name(self) -> str:
        """Its path."""
        return f"the file {self.path}"

    def send(self, rows: Rows) -> list[RejectedLine]:
        """All but those with line breaks in them, which no line of a file can have."""
        lines = [row for row in rows if b"\n" not in row.raw]
        try:
            with self.path.open("ab+") as file:
                if file.tell() and last_byte(file.fileno()) != b"\n":
                    raise TailraceError(
                        f"cannot append to {self.path}: its last line has not ended yet. Rows that were "
                        "not appended stay; try again when whoever writes it has ended the line"
                    )
                file.write(b"".join(row.raw + b"\n" for row in lines))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise TailraceError(
                f"cannot append to {self.path}: {error.strerror}. Rows that were not appended stay"
            ) from error
        return lines


@dataclass(frozen=True)
class TableDoor:
    """The table of a sink, where rows are what the sink sends."""

    store: Store
    sink: Component

    @property
    def name(self) -> str:
        """Its table."""
        return f"the table {self.table}"

    @property
    def table(self) -> str:
        """`database.table`."""
        return f"{self.sink.get('database', 'default')}.{self.sink['table']}"

    def send(self, rows: Rows) -> list[RejectedLine]:
        """Those that ClickHouse takes; where it refuses them together, each is tried alone."""
        if not rows or self._insert(rows):
            return list(rows)
        return [row for row in rows if len(rows) > 1 and self._insert([row])]

    def _insert(self, rows: Rows) -> bool:
        try:
            if self.sink.get("format") == "json_as_string":
                body = b"".join(_fields(row.raw, row.component_id, row.peer) for row in rows)
                columns = [self._line_column, "component_id", "peer"]
                self.store.insert(self.table, body, "TabSeparated", columns=columns)
            else:
                body = b"".join(row.raw + b"\n" for row in rows)
                self.store.insert(self.table, body, "JSONEachRow", settings=self._settings)
        except StoreUnavailableError:
            raise
        except StoreError:
            return False
        return True

    @property
    def _settings(self) -> dict[str, str | int]:
        """What the sink's options ask of ClickHouse."""
        asked: dict[str, str | int] = {}
        if self.sink.get("date_time_best_effort"):
            asked["date_time_input_format"] = "best_effort"
        if (skips := self.sink.get("skip_unknown_fields")) is not None:
            asked["input_format_skip_unknown_fields"] = int(skips)
        return asked

    @cached_property
    def _line_column(self) -> str:
        """The column that a line goes into: the one without a default."""
        found = self.store.query(
            "SELECT name FROM system.columns WHERE concat(database, '.', table) = {table:String} "
            "AND default_kind = '' ORDER BY position LIMIT 1",
            {"table": self.table},
        )
        if not found.rows:
            raise TailraceError(f"cannot send to {self.table}: there is no such table")
        return str(found.value())


@dataclass(frozen=True)
class Pipeline:
    """The components of a pack's pipeline, by what they are and their names."""

    pack: str
    sources: Mapping[str, Component] = field(default_factory=dict)
    transforms: Mapping[str, Component] = field(default_factory=dict)
    sinks: Mapping[str, Component] = field(default_factory=dict)

    @classmethod
    def of(cls, pack: Pack, settings: Settings) -> "Pipeline":
        """As the collector runs it, with what only a collector with other settings would have."""
        rendered = yaml.safe_load(pack.render_pipeline(settings))
        written = yaml.safe_load(pack.pipeline.read_text("utf-8")) if pack.pipeline else {}
        parts = {
            kind: {
                name: {**component, **rendered[kind].get(name, {}), **_inputs(component)}
                for name, component in (written.get(kind) or {}).items()
            }
            for kind in ("sources", "transforms", "sinks")
        }
        return cls(pack.name, **parts)

    def has(self, name: str) -> bool:
        """Whether it has a component of that name."""
        return name in self.sources or name in self.transforms or name in self.sinks

    def sources_of(self, name: str) -> Iterator[str]:
        """The sources whose events reach a component."""
        if name in self.sources:
            yield name
        for taken in self.transforms.get(name, {}).get("inputs", ()):
            yield from self.sources_of(taken if self.has(taken) else taken.rpartition(".")[0])

    def takers_of(self, source: str) -> set[str]:
        """Who takes a source's events."""
        return {
            name
            for name, component in (*self.transforms.items(), *self.sinks.items())
            if source in component["inputs"]
        }

    def takes_like(self, source: str) -> list[Component]:
        """The sources whose events go where those of one go, itself first."""
        others = [n for n in self.sources if n != source]
        ways = self.takers_of(source)
        alike = [source, *(name for name in others if self.takers_of(name) == ways)]
        return [self.sources[name] for name in alike]


def find_door(
    component: str, pipelines: Sequence[Pipeline], store: Store, client: httpx.Client
) -> Door:
    """The door of a component's rows; UsageError says what to do where there is none."""
    homes = [pipeline for pipeline in pipelines if pipeline.has(component)]
    if len(homes) != 1:
        packs = " and ".join(pipeline.pack for pipeline in homes)
        why = f"the packs {packs} both have" if homes else "no pack's pipeline has"
        raise UsageError(_refusal(component, f"{why} a component of that name"))
    pipeline = homes[0]
    if component in pipeline.sinks:
        return _table(component, pipeline.sinks[component], store)
    if _holds_events(pipeline.transforms.get(component, {})):
        raise UsageError(
            _refusal(component, "what it rejects are events, no longer the lines that came in")
        )
    sources = sorted(set(pipeline.sources_of(component)))
    for source in sources:
        for found in pipeline.takes_like(source):
            door = _door_of_source(found, client)
            if door is not None:
                return door
        takers = pipeline.takers_of(source)
        if len(takers) == 1 and takers <= pipeline.sinks.keys():
            return _table(component, pipeline.sinks[takers.pop()], store)
    raise UsageError(
        _refusal(component, f"{' and '.join(sources) or 'nothing'} acknowledges no lines")
    )


def _door_of_source(source: Component, client: httpx.Client) -> Door | None:
    if source["type"] == "http_server":
        scheme = "https" if (source.get("tls") or {}).get("enabled") else "http"
        return HttpDoor(client, f"{scheme}://{source['address']}{source.get('path', '/')}")
    plain = [path for path in source.get("include", ()) if not _WILD & set(path)]
    return FileDoor(Path(plain[0])) if source["type"] == "file" and plain else None


def _table(component: str, sink: Component, store: Store) -> Door:
    if sink["type"] != "clickhouse":
        raise UsageError(_refusal(component, f"it is a sink {sink['type']}, no table"))
    return TableDoor(store, sink)


def _holds_events(transform: Component) -> bool:
    """Whether a transform's rejected rows are events as JSON: a `remap` whose failures nobody takes."""
    return bool(transform) and not transform.get("reroute_dropped")


def _refusal(component: str, why: str) -> str:
    return (
        f"cannot send rows of {component!r} again: {why}. They stay. Name the HTTP source that takes "
        "them by --to http://HOST:PORT/, or put them right by hand and send them where they came from: "
        f"`tailrace rejected list --component {component}` prints them as JSON when it is piped"
    )


def _inputs(component: Component) -> Component:
    return {"inputs": component["inputs"]} if "inputs" in component else {}


def _fields(raw: bytes, *others: str) -> bytes:
    """A row of TabSeparated."""
    values = [raw, *(other.encode() for other in others)]
    for plain, escaped in _ESCAPED.items():
        values = [value.replace(plain, escaped) for value in values]
    return b"\t".join(values) + b"\n"

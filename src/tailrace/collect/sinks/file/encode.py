"""Puts events in groups by the file that they go to. Runs in worker processes.

What comes out is groups, one after the other: a line of JSON (`path` or `reason`, `events`,
`bytes`) and so many bytes. A group with a `reason` is one event, as JSON, that has no path.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

import orjson
from typing_extensions import override

from tailrace.collect.encoding import EventEncoder, frame
from tailrace.collect.sink import Bytes, Encoder
from tailrace.collect.sinks.file.config import FileConfig
from tailrace.collect.template import Template, TemplateError, is_inside
from tailrace.collect.transform import Event, as_json


@dataclass(frozen=True)
class Group:
    """Bytes for one file, or an event that has none."""

    payload: Bytes
    events: int
    path: str = ""
    reason: str = ""


@dataclass(frozen=True)
class GroupEncoder(Encoder):
    """See the module."""

    config: FileConfig

    @override
    def encode(self, events: list[Event]) -> bytes:
        groups: dict[str, list[Event]] = {}
        parts: list[bytes] = []
        for event, path in zip(events, self._paths(events), strict=True):
            if isinstance(path, TemplateError):
                parts += _packed({"reason": str(path)}, 1, as_json(event))
            else:
                groups.setdefault(path, []).append(event)
        encoder = EventEncoder(self.config.encoding)
        for path, grouped in groups.items():
            payload = frame(encoder.payloads(grouped), self.config.framing)
            parts += _packed({"path": path}, len(grouped), payload)
        return b"".join(parts)

    def _paths(self, events: list[Event]) -> Iterator[str | TemplateError]:
        template = Template(self.config.path)
        if template.is_fixed:
            yield from [template.text] * len(events)
            return
        zone, folder = _zone(self.config.timezone), self.config.confined_to
        for event in events:
            try:
                path = template.fill(event, zone)
            except TemplateError as error:
                yield error
                continue
            if folder is not None and not is_inside(path, folder):
                yield TemplateError(f"cannot write to {path!r}: it is not below {folder or '.'!r}")
            else:
                yield path


def groups_in(payload: Bytes) -> Iterator[Group]:
    """The groups that an encoder has put into `payload`."""
    view = memoryview(payload)
    offset = 0
    while offset < len(view):
        header_end = _find_newline(view, offset)
        header = orjson.loads(view[offset:header_end])
        start = header_end + 1
        offset = start + header["bytes"]
        yield Group(
            view[start:offset], header["events"], header.get("path", ""), header.get("reason", "")
        )


def _packed(header: dict[str, str], events: int, payload: bytes) -> list[bytes]:
    line = orjson.dumps(
        {**header, "events": events, "bytes": len(payload)}, option=orjson.OPT_APPEND_NEWLINE
    )
    return [line, payload]


def _find_newline(view: memoryview, start: int) -> int:
    """A header is short, so it is looked for in small parts."""
    step = 4096
    while True:
        found = bytes(view[start : start + step]).find(b"\n")
        if found >= 0:
            return start + found
        step *= 4


def _zone(name: str | None) -> tzinfo:
    if name is None:
        return UTC
    if name == "local":
        return datetime.now(UTC).astimezone().tzinfo or UTC
    return ZoneInfo(name)

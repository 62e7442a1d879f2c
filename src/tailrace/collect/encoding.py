"""How events become bytes: Vector's options `encoding` and `framing`, and what obeys them.

Runs in worker processes. An event is never changed in place: other sinks may get it, too. What a
sink of its own kind needs besides (paths, requests) is in its package.
"""

import csv
import io
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Literal, Self

import orjson
from pydantic import Field, field_validator, model_validator
from typing_extensions import override

from tailrace.collect.component import Options
from tailrace.collect.fields import get_field, put_field, split_path, without_field
from tailrace.collect.sink import Encoder
from tailrace.collect.transform import Event, Timestamp

_ABSENT = object()

TimestampFormat = Literal["rfc3339", "unix", "unix_ms", "unix_us", "unix_ns", "unix_float"]


class FieldChoice(Options):
    """Which fields are sent, and how timestamps are written."""

    only_fields: tuple[str, ...] | None = None
    """Send these fields and no other; `a.b` is a field inside of a field. Unset: all."""

    except_fields: tuple[str, ...] = ()
    """Send all fields but these."""

    timestamp_format: TimestampFormat = "rfc3339"
    """How timestamps are written."""

    @field_validator("only_fields", "except_fields")
    @classmethod
    def _are_paths(cls, paths: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for path in paths or ():
            split_path(path)
        return paths

    @property
    def is_everything(self) -> bool:
        """Whether events are sent as they are."""
        return (
            self.only_fields is None
            and not self.except_fields
            and self.timestamp_format == "rfc3339"
        )

    def shape(self, events: list[Event]) -> list[Event]:
        """The events with these fields; those that were given are left alone."""
        if self.only_fields is not None or self.except_fields:
            events = [self._choose(event) for event in events]
        convert = TIMESTAMP_FORMATS.get(self.timestamp_format)
        return [_with_timestamps(event, convert) for event in events] if convert else events

    def _choose(self, event: Event) -> Event:
        chosen: Event = event if self.only_fields is None else {}
        for path in self.only_fields or ():
            value = get_field(event, split_path(path), _ABSENT)
            if value is not _ABSENT:
                put_field(chosen, split_path(path), value)
        for path in self.except_fields:
            chosen = without_field(chosen, split_path(path))
        return chosen


class JsonEncoding(Options):
    """How the codec `json` writes."""

    pretty: bool = False
    """Several lines an event, with indentation."""


class CsvEncoding(Options):
    """How the codec `csv` writes."""

    not_taken: ClassVar[Mapping[str, str]] = {
        "capacity": "CSV is written as RFC 4180 says",
        "double_quote": "CSV is written as RFC 4180 says",
        "escape": "CSV is written as RFC 4180 says",
        "quote": "CSV is written as RFC 4180 says",
        "quote_style": "CSV is written as RFC 4180 says",
    }

    fields: tuple[str, ...] = Field(min_length=1)
    """Paths of the fields, one a column; a field that an event has not is empty."""

    delimiter: str = Field(default=",", min_length=1, max_length=1)
    """What parts the columns."""


class Encoding(FieldChoice):
    """How an event becomes bytes."""

    not_taken: ClassVar[Mapping[str, str]] = {
        "avro": "Tailrace does not write the codec that it belongs to",
        "cef": "Tailrace does not write the codec that it belongs to",
        "gelf": "Tailrace does not write the codec that it belongs to",
        "protobuf": "Tailrace does not write the codec that it belongs to",
        "schema": "Tailrace does not write the codec that it belongs to",
        "metric_tag_values": "a metric's tag has one value, as `single` says",
    }

    codec: Literal["json", "text", "raw_message", "logfmt", "csv"]
    """`json`: the event as an object. `text`, `raw_message`: its `.message`. `logfmt`: names and
    values. `csv`: the columns of `csv.fields`."""

    json_options: JsonEncoding = Field(default=JsonEncoding(), alias="json")
    """Options of the codec `json`."""

    csv: CsvEncoding | None = None
    """Options of the codec `csv`, which needs them; unset for all others."""

    @model_validator(mode="after")
    def _options_fit(self) -> Self:
        if (self.codec == "csv") != (self.csv is not None):
            raise ValueError('the codec "csv" needs the option "csv", and no other codec has it')
        given = "json_options" in self.model_fields_set
        if given and self.codec != "json":
            raise ValueError(f'the codec "{self.codec}" has no option "json"')
        return self


class CharacterDelimited(Options):
    """Options of the framing `character_delimited`, which needs them; unset for all others."""

    delimiter: str
    """The character, of one byte."""

    @field_validator("delimiter")
    @classmethod
    def _is_one_byte(cls, delimiter: str) -> str:
        if len(delimiter.encode()) != 1:
            raise ValueError("the delimiter must be one character of one byte")
        return delimiter


class SinkFraming(Options):
    """What stands between the events in a stream of bytes."""

    method: Literal["newline_delimited", "bytes", "character_delimited", "length_delimited"]
    """`bytes`: nothing. `length_delimited`: four bytes of length, big-endian, before each."""

    character_delimited: CharacterDelimited | None = None
    """Options of the framing `character_delimited`, which needs them; unset for all others."""

    @model_validator(mode="after")
    def _options_fit(self) -> Self:
        if (self.method == "character_delimited") != (self.character_delimited is not None):
            raise ValueError(
                'the framing "character_delimited" needs the option "character_delimited", '
                "and no other framing has it"
            )
        return self

    @property
    def delimiter(self) -> bytes | None:
        """What is between two events; None where lengths say it."""
        if self.character_delimited:
            return self.character_delimited.delimiter.encode()
        return {"newline_delimited": b"\n", "bytes": b"", "length_delimited": None}[self.method]


NEWLINE_DELIMITED = SinkFraming(method="newline_delimited")


def frame(payloads: Iterable[bytes], framing: SinkFraming) -> bytes:
    """Events one after the other, as a stream has them: each with what ends or begins it."""
    delimiter = framing.delimiter
    if delimiter is None:
        return b"".join([struct.pack(">I", len(each)) + each for each in payloads])
    return b"".join([each + delimiter for each in payloads])


@dataclass(frozen=True)
class EventEncoder:
    """Events as the options say, one payload each, without framing."""

    encoding: Encoding

    def payloads(self, events: list[Event]) -> list[bytes]:
        """The events' bytes, in their order."""
        return self._codec(self.encoding.shape(events))

    def _codec(self, events: Sequence[Event]) -> list[bytes]:
        match self.encoding.codec:
            case "json":
                option = orjson.OPT_INDENT_2 if self.encoding.json_options.pretty else None
                return [orjson.dumps(event, option=option) for event in events]
            case "text" | "raw_message":
                return [as_text(event.get("message", "")).encode() for event in events]
            case "logfmt":
                return [_logfmt(event).encode() for event in events]
            case "csv":
                return [self._csv(event) for event in events]

    def _csv(self, event: Event) -> bytes:
        options = self.encoding.csv
        if options is None:
            raise RuntimeError("BUG: csv without its options")
        line = io.StringIO()
        values = [get_field(event, split_path(path)) for path in options.fields]
        # Python 3.11 quotes a newline in a value only where it also ends lines.
        writer = csv.writer(line, delimiter=options.delimiter, lineterminator="\r\n")
        writer.writerow(_cell(value) for value in values)
        return line.getvalue().removesuffix("\r\n").encode()


@dataclass(frozen=True)
class StreamEncoder(Encoder):
    """Events as a stream of bytes, framed."""

    encoding: Encoding
    framing: SinkFraming = NEWLINE_DELIMITED

    @override
    def writes_events_as_they_are(self) -> bool:
        return (
            self.encoding.codec == "json"
            and self.encoding.is_everything
            and not self.encoding.json_options.pretty
            and self.framing == NEWLINE_DELIMITED
        )

    @override
    def encode(self, events: list[Event]) -> bytes:
        return frame(EventEncoder(self.encoding).payloads(events), self.framing)


def as_text(value: Any) -> str:
    """Text as it is, everything else as JSON."""
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _cell(value: Any) -> str:
    """A column's text; empty for what has no text, as in Vector."""
    return "" if value is None or isinstance(value, dict | list) else as_text(value)


def _logfmt(event: Event) -> str:
    """The event as VRL's `encode_logfmt` writes it."""
    words: list[str] = []
    for name, value in sorted(_flat("", event), key=lambda pair: pair[0]):
        if value is True:
            words.append(_word(name))
        elif value is not False:
            words.append(f"{_word(name)}={_word(_bare(value))}")
    return " ".join(words)


def _flat(prefix: str, value: Event | list[Any]) -> Iterator[tuple[str, Any]]:
    """What is inside of objects and arrays, each by its path."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for name, item in items:
        if isinstance(item, dict | list):
            yield from _flat(f"{prefix}{name}.", item)
        else:
            yield f"{prefix}{name}", item


def _bare(value: Any) -> str:
    """A whole number without a fraction, everything else as it is elsewhere."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return as_text(value)


def _word(text: str) -> str:
    escaped = text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\\n")
    is_split = any(character.isspace() or character in '"=' for character in text)
    return f'"{escaped}"' if is_split else escaped


def _with_timestamps(value: Any, convert: Callable[[str], Any]) -> Any:
    """The same with its timestamps converted, at any depth."""
    if isinstance(value, Timestamp):
        return convert(value)
    if isinstance(value, dict):
        return {name: _with_timestamps(item, convert) for name, item in value.items()}
    if isinstance(value, list):
        return [_with_timestamps(item, convert) for item in value]
    return value


def nanoseconds(text: str) -> int:
    """Nanoseconds since 1970 of a `Timestamp`."""
    moment = datetime.fromisoformat(text[:19] + "+00:00")
    fraction = text[20:].rstrip("Z").ljust(9, "0")[:9] if text[19:20] == "." else "0"
    return int(moment.timestamp()) * 1_000_000_000 + int(fraction)


TIMESTAMP_FORMATS: dict[str, Callable[[str], Any]] = {
    "unix": lambda text: nanoseconds(text) // 1_000_000_000,
    "unix_ms": lambda text: nanoseconds(text) // 1_000_000,
    "unix_us": lambda text: nanoseconds(text) // 1_000,
    "unix_ns": nanoseconds,
    "unix_float": lambda text: nanoseconds(text) // 1_000 / 1e6,
}
"""What makes another format of a timestamp's text; `rfc3339` is that text."""

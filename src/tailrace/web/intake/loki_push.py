"""Makes lines of JSON of Loki's push requests, in JSON and in protobuf.

    {"streams": [{"stream": {"app": "shop"}, "values": [["1763808135118000000", "no stock", {"user": "7"}]]}]}
    →  {"timestamp":"1763808135118000000","app":"shop","user":"7","message":"no stock"}

- A line that is a JSON object by itself gives its own fields in place of `message`, spliced in as they
  are: `{"level":"error","msg":"no stock"}` is found as it would be had it come without Loki.
- Labels, structured metadata and the line's fields may share names. Nothing is lost: the line's field
  keeps the name, then the metadata; what differs from it is called `metadata.NAME` or `labels.NAME`.
- The timestamp is the entry's. One that is no number is for the table to reject, alone.

Form of the requests: https://grafana.com/docs/loki/latest/reference/loki-http-api/#ingest-logs; the
numbers of protobuf's fields: `pkg/push/push.proto` in https://github.com/grafana/loki.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import Any

import orjson
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from tailrace.content import ContentError, ContentTooLargeError, unsnap
from tailrace.web.intake.lines import (
    BadBodyError,
    TooLargeError,
    check_count,
    join,
    timestamp_text,
)

Fields = Mapping[str, Any]

OWN: Fields = {"timestamp": None, "message": None}
"""What an entry's event calls its time and its line."""

MOST_KNOWN = 1000
"""Sets of labels that are remembered, as bytes, in a stream."""

MAX_DEPTH = 100
"""The pipeline refuses JSON that is nested deeper: such a line is text."""

_BRACKET = re.compile(r"[][{}]")
_LABEL = re.compile(
    r'\s*(?:([A-Za-z_][\w.:]*)|("(?:[^"\\]|\\.)*"))\s*=\s*("(?:[^"\\]|\\.)*"|`[^`]*`)\s*(?:,|(?=\}))'
)
_ESCAPE = re.compile(r"\\(?:x(..)|u(.{4})|U(.{8})|([0-7]{3})|(.))", re.DOTALL)
_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


@dataclass(frozen=True)
class Push:
    """What a request holds."""

    payload: bytes
    answer_bytes: int = 0
    """The answer says nothing of single events."""


def read_json(body: bytes) -> Push:
    """A request in JSON. Raises BadBodyError."""
    try:
        request = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadBodyError(f"cannot read the body: it is not JSON: {error}") from error
    try:
        return Push(_read_streams(_list(_object(request, "the body"), "streams")))
    except orjson.JSONEncodeError as error:
        # What is read may be nested deeper than what is written.
        raise BadBodyError(f"cannot read the body: {error}") from error


def _read_streams(streams: Iterable[object]) -> bytes:
    parts: list[bytes] = []
    entries = 0
    for given in streams:
        holder = _object(given, "a stream")
        stream = _Stream(_object(holder.get("stream") or {}, "the labels of a stream"))
        values = _list(holder, "values")
        entries += len(values)
        check_count(entries)
        for value in values:
            time, line, metadata = _entry(value)
            stream.add(time, line, metadata, parts)
    return join(parts)


def read_protobuf(body: bytes, max_bytes: int) -> Push:
    """A request in protobuf, compressed by Snappy, at most `max_bytes` long. Raises BadBodyError."""
    try:
        message = _message_class().FromString(unsnap(body, max_bytes))
    except ContentTooLargeError as error:
        raise TooLargeError(str(error)) from error
    except ContentError as error:
        raise BadBodyError(str(error)) from error
    except DecodeError as error:
        raise BadBodyError("cannot read the body: it is no push request in protobuf") from error
    streams: Any = message.streams  # type: ignore[attr-defined]
    check_count(sum(len(given.entries) for given in streams))
    parts: list[bytes] = []
    for given in streams:
        stream = _Stream(read_labels(given.labels))
        for entry in given.entries:
            pairs = entry.structured_metadata
            metadata = {_text(pair.name): _text(pair.value) for pair in pairs} if pairs else {}
            time = entry.timestamp
            nanos = time.seconds * 1_000_000_000 + time.nanos
            stream.add(str(nanos) if nanos else "", _text(entry.line), metadata, parts)
    return Push(join(parts))


class _Stream:
    """Entries that share labels."""

    def __init__(self, labels: Fields) -> None:
        self._labels = labels
        self._known: dict[object, bytes] = {}

    def add(self, time: str, line: str, metadata: Fields, parts: list[bytes]) -> None:
        """Put an entry's event into `parts`."""
        parts.append(_time(time))
        own = _fields_of(line)
        taken: Fields = {**own, "timestamp": None} if own else OWN
        if metadata:
            metadata = _renamed("metadata", metadata, taken)
            taken = {**taken, **metadata}
            parts.append(_members(metadata))
        parts.append(self._beside(taken))
        if own:
            # A newline in JSON stands between tokens: in a string it is written as an escape.
            text = line.strip().replace("\r", " ").replace("\n", " ")
            parts += (text.encode()[1:], b"\n")
        else:
            parts += (b'"message":', orjson.dumps(line), b"}\n")

    def _beside(self, taken: Fields) -> bytes:
        """The labels, as members of an object that has these already."""
        shared = self._labels.keys() & taken.keys()
        same = frozenset(name for name in shared if taken[name] == self._labels[name])
        key = (same, frozenset(shared))
        known = self._known.get(key)
        if known is None:
            known = _members(_renamed("labels", self._labels, taken))
            if len(self._known) < MOST_KNOWN:
                self._known[key] = known
        return known


def _renamed(kind: str, fields: Fields, taken: Fields) -> Fields:
    """The fields that `taken` has not got with the same value, under names that it has not got."""
    found: dict[str, Any] = {}
    for name, value in fields.items():
        if name not in taken:
            found[name] = value
        elif taken[name] != value:
            other = f"{kind}.{name}"
            while other in taken or other in fields or other in found:
                other = f"{kind}.{other}"
            found[other] = value
    return found


def _members(fields: Fields) -> bytes:
    return orjson.dumps(fields)[1:-1] + b"," if fields else b""


def _fields_of(line: str) -> Fields | None:
    """The fields of a line that is a JSON object; None where it is not, is empty or too deep."""
    text = line.strip()
    if not (text.startswith("{") and text.endswith("}")):
        return None
    if text.count("[") + text.count("{") > MAX_DEPTH and _depth(text) > MAX_DEPTH:
        return None
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None


def _depth(text: str) -> int:
    """How deep a text nests, at most: brackets within strings are not told apart."""
    steps = (1 if bracket in "[{" else -1 for bracket in _BRACKET.findall(text))
    return max(accumulate(steps), default=0)


def _time(text: str) -> bytes:
    """The beginning of an event of that time, which is nanoseconds since 1970; of any, if empty."""
    if not text:
        return b"{"
    if text.isascii() and text.isdecimal() and len(text) <= 19:
        return b'{"timestamp":"%b",' % timestamp_text(int(text)).encode()
    return b'{"timestamp":%b,' % orjson.dumps(text)


def read_labels(text: bytes) -> dict[str, str]:
    """The labels of a text as `{app="shop", env="test"}`. Raises BadBodyError."""
    given = text.decode("utf-8", "surrogateescape").strip()
    labels: dict[str, str] = {}
    at = 1
    while found := _LABEL.match(given, at):
        name, quoted, value = found.groups()
        labels[name or _unquote(quoted)] = _unquote(value)
        at = found.end()
    if not given.startswith("{") or given[at:].strip() != "}":
        raise BadBodyError(f'cannot read the labels {_short(_text(text))}: write {{app="shop"}}')
    return labels


def _unquote(quoted: str) -> str:
    """Text as Go writes it, without its quotes."""
    text = quoted[1:-1]
    if quoted[0] == '"':
        text = _ESCAPE.sub(_unescape, text)
    # Single bytes are escaped or not; together they may be characters.
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _unescape(found: re.Match[str]) -> str:
    byte, short, long, octal, letter = found.groups()
    if letter is not None:
        return _ESCAPES.get(letter, letter)
    try:
        code = int(octal, 8) if octal else int(byte or short or long, 16)
        is_byte = octal or byte
        if is_byte and 0x80 <= code <= 0xFF:
            return bytes([code]).decode("utf-8", "surrogateescape")
        return "\ufffd" if 0xD800 <= code <= 0xDFFF else chr(code)
    except (ValueError, OverflowError):
        return "\ufffd"


def _entry(value: object) -> tuple[str, str, Fields]:
    if isinstance(value, list) and len(value) in (2, 3):
        time, line = value[:2]
        metadata = value[2] if len(value) == 3 else {}
        if (
            isinstance(time, str | int)
            and not isinstance(time, bool)
            and isinstance(line, str)
            and isinstance(metadata, dict | None)
        ):
            return str(time), line, metadata or {}
    raise BadBodyError(
        f"cannot read the entry {_short(value)}: write "
        '["NANOSECONDS", "LINE"] or ["NANOSECONDS", "LINE", {"NAME": "VALUE"}]'
    )


def _object(value: object, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadBodyError(f"cannot read {what}: {_short(value)} is no object")
    return value


def _list(holder: Fields, name: str) -> list[Any]:
    value = holder.get(name) or []
    if not isinstance(value, list):
        raise BadBodyError(f"cannot read {name!r}: {_short(value)} is no array")
    return value


def _short(value: object) -> str:
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    return text if len(text) <= 100 else f"{text[:97]}..."


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


_MESSAGES: Mapping[str, Iterable[tuple[str, int, str]]] = {
    "Push": [("streams", 1, "Stream*")],
    "Stream": [("labels", 1, ""), ("entries", 2, "Entry*")],
    "Entry": [("timestamp", 1, "Time"), ("line", 2, ""), ("structured_metadata", 3, "Pair*")],
    "Pair": [("name", 1, ""), ("value", 2, "")],
    "Time": [("seconds", 1, "int64"), ("nanos", 2, "int32")],
}
"""Fields with their numbers and types. Text is bytes: Go's clients send what is no UTF-8, too."""


@lru_cache(1)
def _message_class() -> type[Message]:
    described = FileDescriptorProto(name="push.proto", package="loki", syntax="proto3")
    for message_name, fields in _MESSAGES.items():
        message = described.message_type.add(name=message_name)
        for name, number, kind in fields:
            field = message.field.add(name=name, number=number)
            repeated = kind.endswith("*")
            field.label = (
                FieldDescriptorProto.LABEL_REPEATED
                if repeated
                else FieldDescriptorProto.LABEL_OPTIONAL
            )
            scalar = _SCALARS.get(kind)
            field.type = scalar or FieldDescriptorProto.TYPE_MESSAGE
            if not scalar:
                field.type_name = f".loki.{kind.rstrip('*')}"
    pool = DescriptorPool()
    pool.Add(described)
    return GetMessageClass(pool.FindMessageTypeByName("loki.Push"))


_SCALARS: Mapping[str, "FieldDescriptorProto.Type.ValueType"] = {
    "": FieldDescriptorProto.TYPE_BYTES,
    "int64": FieldDescriptorProto.TYPE_INT64,
    "int32": FieldDescriptorProto.TYPE_INT32,
}

r"""Makes lines of JSON of Influx's line protocol: an event of each point.

    disk,host=db-1,path=/ used=12i,free=0.5,label="root \"a\"" 1763808135118000000
    →  {"timestamp":"1763808135118000000","source":"disk","host":"db-1","path":"/","used":12,"free":0.5,
        "label":"root \"a\"","message":"used=12 free=0.5 label=root \"a\""}

- The measurement is the `source`. A point without a `message` gets one of its fields.
- Tags and fields may share names, with each other and with those. Nothing is lost: a field goes before
  a tag; what does not get its name is called `fields.NAME` or `tags.NAME`. A line with very many of one
  name is none.
- A line that is none is told, with its reason, and leaves those around it alone. A newline within
  quotes belongs to the value, unless that makes the line none.

Form: https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/
"""

import math
import re
from dataclasses import dataclass
from typing import Final

import orjson

from tailrace.web.intake.lines import check_count, join, timestamp_text

Value = str | int | float | bool

NANOS_PER_UNIT: Final = {
    "": 1,
    "n": 1,
    "ns": 1,
    "u": 1_000,
    "µ": 1_000,
    "us": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
"""What `precision` may be."""

MOST_ERRORS_TOLD: Final = 10
MOST_OF_A_NAME: Final = 10
"""Fields or tags that share a name: each has a longer one than the one before."""

_HEAD = re.compile(r"([^\\, \n]*(?:\\.[^\\, \n]*)*)((?:,[^\\, \n]*(?:\\.[^\\, \n]*)*)*)[ ]+")
_TAG = re.compile(r",([^\\,= \n]*(?:\\.[^\\,= \n]*)*)=([^\\, \n]*(?:\\.[^\\, \n]*)*)")
_FIELD = re.compile(
    r'([^\\,= \n]*(?:\\.[^\\,= \n]*)*)=("[^"\\]*(?:\\[\s\S][^"\\]*)*"|[^,\s"]+)(,?)'
)
_END = re.compile(r"(?:[ ]+(-?[0-9]{1,19}))?[ \r]*(?:\n|\Z)")
_ESCAPED_IN_NAME = re.compile(r"\\([,= ])")
_ESCAPED_IN_TEXT = re.compile(r'\\(["\\])')
_INTEGER = re.compile(r"(-?[0-9]{1,20})[iu]")
_FLOAT = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_BOOLEANS: Final = {
    **dict.fromkeys(("t", "T", "true", "True", "TRUE"), True),
    **dict.fromkeys(("f", "F", "false", "False", "FALSE"), False),
}
_INT64 = range(-(2**63), 2**63)


@dataclass(frozen=True)
class Points:
    """What a body holds."""

    payload: bytes
    count: int
    errors: list[str]
    """The reasons of the first lines that are no points, as Influx words them."""
    dropped: int
    """How many lines are no points."""
    answer_bytes: int = 0
    """The answer says little of single lines."""


class _BadLineError(ValueError):
    """A line that is no point."""


def read_lines(body: bytes, nanos_per_unit: int) -> Points:
    """The points of a body, whose timestamps count that many nanoseconds. Raises TooLargeError."""
    check_count(body.count(b"\n"))
    text = body.decode("utf-8", "replace")
    parts: list[bytes] = []
    errors: list[str] = []
    dropped = at = 0
    while at < len(text):
        end = text.find("\n", at) + 1 or len(text)
        line = text[at:end].strip()
        if not line or line.startswith("#"):
            at = end
            continue
        try:
            event, at = _read_point(text, at, nanos_per_unit)
        except _BadLineError as error:
            dropped += 1
            if len(errors) < MOST_ERRORS_TOLD:
                errors.append(f"unable to parse '{line[:200]}': {error}")
            at = end
            continue
        parts += (orjson.dumps(event), b"\n")
    return Points(join(parts), len(parts) // 2, errors, dropped)


def _read_point(text: str, at: int, nanos_per_unit: int) -> tuple[dict[str, Value], int]:
    """The event of the point that begins at `at`, and where the next one begins."""
    at = _after_blanks(text, at)
    head = _HEAD.match(text, at)
    if head is None:
        raise _BadLineError("missing fields")
    measurement, tags_text = head.groups()
    if not measurement:
        raise _BadLineError("missing measurement")
    fields, at = _read_fields(text, head.end())
    end = _END.match(text, at)
    if end is None:
        raise _BadLineError("bad timestamp, or blanks that are not escaped")
    event: dict[str, Value] = {}
    if end[1]:
        nanos = int(end[1]) * nanos_per_unit
        if nanos not in _INT64:
            raise _BadLineError("time outside range")
        event["timestamp"] = timestamp_text(nanos)
    event["source"] = _unescape(measurement)
    _add(event, "fields", fields)
    if tags_text:
        _add(event, "tags", _read_tags(tags_text))
    if "message" not in event:
        event["message"] = " ".join(f"{name}={_written(value)}" for name, value in fields.items())
    return event, end.end()


def _after_blanks(text: str, at: int) -> int:
    while text[at] in " \t\r":
        at += 1
    return at


def _read_tags(text: str) -> dict[str, Value]:
    tags: dict[str, Value] = {}
    at = 0
    while at < len(text):
        tag = _TAG.match(text, at)
        if tag is None or not tag[1] or not tag[2]:
            raise _BadLineError("missing tag key or value")
        _add(tags, "tags", {_unescape(tag[1]): _unescape(tag[2])})
        at = tag.end()
    return tags


def _read_fields(text: str, at: int) -> tuple[dict[str, Value], int]:
    fields: dict[str, Value] = {}
    while True:
        field = _FIELD.match(text, at)
        if field is None or not field[1]:
            raise _BadLineError("invalid field format" if fields else "missing fields")
        _add(fields, "fields", {_unescape(field[1]): _read_value(field[2])})
        at = field.end()
        if not field[3]:
            return fields, at


def _add(event: dict[str, Value], kind: str, more: dict[str, Value]) -> None:
    """Put more fields into an event, under other names where theirs are taken."""
    for name, value in more.items():
        for times in range(MOST_OF_A_NAME):
            free = f"{kind}." * times + name
            if free not in event:
                break
        else:
            raise _BadLineError(f"more than {MOST_OF_A_NAME} {kind} named {name[:60]!r}")
        event[free] = value


def _read_value(token: str) -> Value:
    if token.startswith('"'):
        return _ESCAPED_IN_TEXT.sub(r"\1", token[1:-1])
    if (boolean := _BOOLEANS.get(token)) is not None:
        return boolean
    if integer := _INTEGER.fullmatch(token):
        number = int(integer[1])
        allowed = range(2**64) if token.endswith("u") else _INT64
        if number not in allowed:
            raise _BadLineError(f"unable to parse integer {token}: value out of range")
        return number
    if _FLOAT.fullmatch(token) and math.isfinite(value := float(token)):
        return value
    raise _BadLineError(f"invalid number {token[:60]!r}")


def _unescape(name: str) -> str:
    return _ESCAPED_IN_NAME.sub(r"\1", name) if "\\" in name else name


def _written(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)

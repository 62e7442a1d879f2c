"""Runs several VRL programs, one after the other, over lines of text in one call.

The whole way of an event is inside VRL: from the line, with what the source adds, through programs
and conditions, to the line that leaves. So an event crosses the border as text, twice, and is
never a Python object: half the time of the quickest other way (docs/decisions/010).

Guarantee: `run` gives either what the programs make of all lines, or None and has changed nothing;
None is the answer whenever one line is not an event, one program fails, aborts or ends with anything
but one object, or the text holds what VRL and the codec `json` read differently. Whoever asks then
takes another way for these lines.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from tailrace.collect.json_text import is_read_otherwise
from tailrace.collect.transform import VrlStep
from tailrace.collect.vrl.lexer import calls_of, may_deepen, returns_early, uses_metadata
from tailrace.collect.vrl.nesting import NestingGuard
from tailrace.collect.vrl.program import Runner
from tailrace.collect.vrl.wrap import RESULT, Wrapped

LineCodec = Literal["json", "bytes", "ready"]
"""How a line becomes an event: it is one, or it is the event's `message`."""

READY: LineCodec = "ready"
"""The line is an event whose `timestamp` is RFC 3339 and becomes a timestamp."""

_BEGIN = """
tailrace_never = bool!(.n)
tailrace_any = object!(parse_json!(string!(.d)))
tailrace_defaults = object!(set!(tailrace_any, ["timestamp"], \
parse_timestamp!(string!(.t), format: "%+")))
. = {{"{result}": join!(map_values(split(string!(.i), "\\n")) -> |tailrace_line| {{
. = merge(tailrace_defaults, {event})
{then}"""
_EVENT: dict[LineCodec, str] = {
    "json": "object!(parse_json!(tailrace_line))",
    "bytes": '{"message": tailrace_line}',
    "ready": "object!(parse_json!(tailrace_line))",
}
_THEN: dict[LineCodec, str] = {
    "json": "",
    "bytes": "",
    "ready": '.timestamp = parse_timestamp!(string!(.timestamp), format: "%+")\n',
}
_FORGET_TYPES = "if tailrace_never { . = tailrace_any }\n"
"""Never happens, but for all that the compiler knows an event may be anything from here on.

It would refuse a user's `string!(.message)` as needlessly careful where it knew that it is text."""
_END = "\nencode_json(.)\n"
_OURS = "tailrace_"
"""Begins the names of our variables; a program that has such ones of its own would set ours."""

_DROPPED = "!"
"""Begins the line of an event that a condition has dropped; no JSON does."""


@dataclass
class Ran:
    """What came of lines."""

    payload: bytes
    """The events that are left, as JSON, each with a newline."""
    count: int
    """Their number."""
    dropped: Counter[int] = field(default_factory=Counter)
    """How many a condition has dropped, by its place in the chain."""


class Chain:
    """A compiled chain; its programs and conditions must have passed their checks."""

    def __init__(self, steps: Sequence[VrlStep], codec: LineCodec) -> None:
        self._codec = codec
        text = wrap_chain(steps, codec)
        timezones = {step.timezone for step in steps}
        self._runner = Runner(Wrapped(text, 0, len(text)), min(timezones), 0)
        calls = {name for step in steps for name, _ in calls_of(step.source)}
        is_simple = not any(
            returns_early(step.source) or uses_metadata(step.source) or _OURS in step.source
            for step in steps
        )
        self.is_fit = (
            is_simple
            and len(timezones) == 1
            and not NestingGuard(calls).is_needed
            and self._runner.compiles()
        )
        """Whether it can be run at all."""

    def run(self, lines: Sequence[bytes], defaults: str, timestamp: str) -> Ran | None:
        """What becomes of the lines; `defaults` are an object's JSON: what events get that have none.

        So is `timestamp`, RFC 3339.
        """
        given = b"\n".join(lines)
        if self._codec != "bytes" and is_read_otherwise(given, lines):
            return None
        made = self._runner.call_with(
            {"i": given.decode("utf-8", "replace"), "d": defaults, "t": timestamp, "n": False}
        )
        return self._ran(made, len(lines)) if isinstance(made, bytes) else None

    def _ran(self, made: bytes, lines: int) -> Ran | None:
        # Looked at here: a program that asks VRL for the kind of `.` copies the event for that.
        objects = made.startswith(b"{") + made.count(b"\n{")
        if objects == lines:
            return Ran(made + b"\n", lines)
        every = made.split(b"\n")
        dropped = Counter(
            int(line.removeprefix(_DROPPED.encode()))
            for line in every
            if line.startswith(_DROPPED.encode())
        )
        if objects + dropped.total() != lines:
            return None
        left = [line + b"\n" for line in every if line.startswith(b"{")]
        return Ran(b"".join(left), objects, dropped)


def wrap_chain(steps: Sequence[VrlStep], codec: LineCodec) -> str:
    """The one program that does it all; a dropped event's line is `!` and the number of its step."""
    begin = _BEGIN.format(result=RESULT, event=_EVENT[codec], then=_THEN[codec])
    end = ""
    for number, step in enumerate(steps):
        begin += _FORGET_TYPES
        if step.is_condition:
            begin += f"if (\n{step.source}\n) {{\n"
            end = f'}} else {{ "{_DROPPED}{number}" }}\n{end}'
        else:
            begin += f"{step.source}\n"
    look = "parse_json!(encode_json([.]))\n" if any(may_deepen(s.source) for s in steps) else ""
    return f'{begin}{look}{_END}{end}}}, "\\n")}}'

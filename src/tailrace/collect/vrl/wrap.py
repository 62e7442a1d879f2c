"""The VRL that is put around a user's program so that one call runs it over many events.

A batch is one JSON text. `map_values` runs the program once an event, with `.` set to the event, and
the results leave as one JSON text again: text crosses the border in half the time that Python
dictionaries take. Timestamps have no JSON form, so they go in with their paths listed and come out
as `{"\\x02t": "…"}`.
"""

from dataclasses import dataclass
from enum import Enum

from tailrace.collect.vrl.lexer import may_deepen

MARK = "\x02t"
"""Key of an object that stands for a timestamp on the way out."""

RESULT = "\x02o"
"""Key of the text that leaves."""


class Restore(Enum):
    """Where the events of a batch have timestamps, and how the program gets them back.

    By `set!`, because an assignment would tell the compiler the type, and a user's program that is
    right in Vector (`format_timestamp!(.timestamp, …)`) would be refused as needlessly careful.
    """

    NOWHERE = ". = object!(tailrace_event)\n"
    AT_ROOT = (
        ". = object!(tailrace_event)\n"
        '. = object!(set!(., ["timestamp"], '
        'parse_timestamp!(get!(., ["timestamp"]), format: "%+")))\n'
    )
    ANYWHERE = (
        "tailrace_pair = object!(tailrace_event)\n"
        ". = object!(tailrace_pair.event)\n"
        "for_each(array!(tailrace_pair.paths)) -> |_tailrace_index, tailrace_path| {\n"
        ". = object!(set!(., array!(tailrace_path), "
        'parse_timestamp!(get!(., array!(tailrace_path)), format: "%+")))\n'
        "}\n"
    )


@dataclass(frozen=True)
class Wrapped:
    """A program ready for the runtime."""

    text: str
    first_byte: int
    """Where the user's own text begins."""
    last_byte: int
    """Where it ends."""


def wrap(source: str, *, restore: Restore, typed: bool, batch: bool) -> Wrapped:
    """Put the frame for a batch, or for a single event, around a program."""
    given = "parse_json!(string!(.i))"
    if batch:
        before = (
            f'. = {{"{RESULT}": encode_json(map_values(array!({given})) -> |tailrace_event| {{\n'
        )
        after = f"\n{_result(source, typed)}\n}})}}"
    else:
        # `get` hides from the compiler that parse_json gives no timestamps.
        before = f'tailrace_event = get!({{"event": {given}}}, ["event"])\n'
        after = f'\n. = {{"{RESULT}": encode_json({{\n{_result(source, typed)}\n}})}}'
    before += restore.value
    first = len(before.encode())
    return Wrapped(before + source + after, first, first + len(source.encode()))


def _result(source: str, typed: bool) -> str:
    """The event as it is after the program; with `typed`, in an array and timestamps marked.

    Where the program may have made a deep event of a flat one, `parse_json` looks first: it refuses
    what is deeper than 128. Neither Python's recursion nor JSON's encoder could take such an event,
    and to mark one takes the square of its depth (12 s for 3,000 levels).
    """
    look = "parse_json!(encode_json([.]))\n" if may_deepen(source) else ""
    if not typed:
        return f"{look}."
    return (
        f"{look}map_values([.], recursive: true) -> |tailrace_value| "
        f'{{ if is_timestamp(tailrace_value) {{ {{"{MARK}": tailrace_value}} }} '
        "else { tailrace_value } }"
    )

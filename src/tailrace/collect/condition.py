"""Conditions: VRL that says yes or no of an event and leaves it alone.

A condition that fails at run time counts as no and as an error, as in Vector.
"""

import re
from typing import Literal

from tailrace.collect.component import Options
from tailrace.collect.transform import Event
from tailrace.collect.vrl import Failure, Program, check
from tailrace.collect.vrl.check import as_predicate
from tailrace.collect.vrl.lexer import code_of

_CHANGE = re.compile(
    r"""(?<![\w"\])])[.%][\w.\[\]@ ]*(?:,\s*[\w.]+\s*)?(?:\|{1,2}|\?\?)?=(?!=)|\bdel\(\s*[.%]"""
)


class VrlCondition(Options):
    """The long form of a condition."""

    type: Literal["vrl"]
    """The language."""

    source: str
    """The program."""


ConditionConfig = str | VrlCondition


def source_of(condition: ConditionConfig) -> str:
    """The VRL of either form."""
    return condition if isinstance(condition, str) else condition.source


def condition_problem(condition: ConditionConfig, timezone: str) -> str | None:
    """What is wrong with a condition; None when it is fit."""
    source = source_of(condition)
    change = _CHANGE.search(code_of(source))
    if change:
        line = source.count("\n", 0, change.start()) + 1
        return (
            f"line {line}: a condition cannot change the event: {source[change.start() :][:40]!r}"
        )
    return check(source, kind="condition", timezone=timezone)


class Condition:
    """A running condition; its program must have passed `condition_problem`."""

    def __init__(self, condition: ConditionConfig, timezone: str) -> None:
        text = f". = {as_predicate(source_of(condition))}"
        self._program = Program(
            text, timezone=timezone, typed=False, foreign_bytes=text.index("\n") + 1
        )

    def run(self, events: list[Event]) -> list[bool | Failure]:
        """An answer for each event."""
        return self._program.run(events)

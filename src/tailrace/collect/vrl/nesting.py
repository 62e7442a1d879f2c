"""Guards against events that would end the process.

`parse_xml` and `parse_ruby_hash` recurse once a level of what they read, without a limit, and
overflow the stack somewhere past 5,000 levels. So a program that calls one of them sees no event
with more than 1,000.
"""

import re
from collections.abc import Callable

MAX_LEVELS = 1000

_XML_HIDDEN = re.compile(rb"<!\[CDATA\[.*?\]\]>|<!--.*?-->", re.DOTALL)
_XML_TAG = re.compile(rb"<(/?)[^<>!?]*?(/?)>|<(?![!?/])")


def _xml_levels(text: bytes) -> int:
    if text.count(b"<") <= MAX_LEVELS:
        return 0
    level = deepest = 0
    for tag in _XML_TAG.finditer(_XML_HIDDEN.sub(b"", text)):
        level += 0 if tag[2] else -1 if tag[1] else 1
        deepest = max(deepest, level)
    return deepest


def _ruby_levels(text: bytes) -> int:
    return text.count(b"{") + text.count(b"[")


_LEVELS: dict[str, Callable[[bytes], int]] = {
    "parse_xml": _xml_levels,
    "parse_ruby_hash": _ruby_levels,
}


class NestingGuard:
    """What a program's functions could not survive; made once a program."""

    def __init__(self, functions: set[str]) -> None:
        self._risky = {name: _LEVELS[name] for name in functions & set(_LEVELS)}

    @property
    def is_needed(self) -> bool:
        """Whether there is anything to guard against."""
        return bool(self._risky)

    def refusal(self, text: bytes) -> str | None:
        """Why an event, given as JSON, must not be run; None when it may."""
        for name, levels in self._risky.items():
            if levels(text) > MAX_LEVELS:
                return f"cannot call {name}: the event has more than {MAX_LEVELS} nested levels"
        return None

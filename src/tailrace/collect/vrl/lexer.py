"""As much of VRL's grammar as is needed to look at a program without compiling it."""

import re

_TEXT = re.compile(r"""#[^\n]*|\b[rst]'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*\"""", re.DOTALL)
_CALL = re.compile(r"(?<![\w.@])([a-z_][a-z0-9_]*)!?\(")
_RETURN = re.compile(r"(?<![\w.@])return\b")
_DEEPENING = frozenset({"parse_ruby_hash", "parse_xml", "set", "unflatten"})


def code_of(source: str) -> str:
    """The program with comments and what is between quotes blanked; every place stays the same."""
    return _TEXT.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), source)


def calls_of(source: str) -> list[tuple[str, int]]:
    """Functions that are called, each with its 1-based line."""
    code = code_of(source)
    return [(call[1], code.count("\n", 0, call.start()) + 1) for call in _CALL.finditer(code)]


def returns_early(source: str) -> bool:
    """Whether the program has a `return`, which VRL does not allow inside a closure."""
    return _RETURN.search(code_of(source)) is not None


def uses_metadata(source: str) -> bool:
    """Whether the program reads or writes `%`; VRL has no other use for that sign."""
    return "%" in code_of(source)


def may_deepen(source: str) -> bool:
    """Whether the program may nest an event by more levels than the program's text has.

    Some functions do, and so may a closure that runs many times.
    """
    if "->" in code_of(source):
        return True
    return any(name in _DEEPENING for name, _ in calls_of(source))

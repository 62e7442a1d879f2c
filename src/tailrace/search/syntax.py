"""The parts of a parsed search: a tree of frozen nodes.

Each leaf knows its position, the 0-based character of the search where it began, so that whatever
goes wrong later can still point at it.
"""

from dataclasses import dataclass
from typing import Literal

Operator = Literal[">", ">=", "<", "<="]


@dataclass(frozen=True, slots=True)
class Value:
    """A word or phrase, split at its `*` wildcards: `pay*ment` has the parts `pay` and `ment`."""

    parts: tuple[str, ...]
    position: int
    quoted: bool = False

    @property
    def literal(self) -> str | None:
        """The text itself, or None if it holds a wildcard."""
        return self.parts[0] if len(self.parts) == 1 else None

    @property
    def text(self) -> str:
        """The text with its wildcards as `*`."""
        return "*".join(self.parts)


@dataclass(frozen=True, slots=True)
class Match:
    """`word`, `"a phrase"`, `*sub*`, or with a field `field:value`."""

    field: str | None
    value: Value


@dataclass(frozen=True, slots=True)
class Regex:
    """`/pattern/` or `field:/pattern/`, in RE2's syntax."""

    field: str | None
    pattern: str
    position: int


@dataclass(frozen=True, slots=True)
class Compare:
    """`field:>=value`."""

    field: str
    operator: Operator
    value: Value


@dataclass(frozen=True, slots=True)
class Range:
    """`field:[low TO high}`; a bracket includes its end, a brace does not, None is open."""

    field: str
    low: Value | None
    high: Value | None
    low_included: bool
    high_included: bool


@dataclass(frozen=True, slots=True)
class Exists:
    """`field:*`: the field is there and not empty."""

    field: str


@dataclass(frozen=True, slots=True)
class Everything:
    """The empty search, or a lone `*`."""


@dataclass(frozen=True, slots=True)
class Not:
    """`-term` or `NOT term`."""

    node: "Node"


@dataclass(frozen=True, slots=True)
class And:
    """Terms that must all hold."""

    nodes: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Terms of which one must hold."""

    nodes: tuple["Node", ...]


Node = Match | Regex | Compare | Range | Exists | Everything | Not | And | Or


def leaves(node: Node, *, negated: bool = False) -> list[tuple[Node, bool]]:
    """Every leaf with whether it stands under an odd number of negations, in reading order."""
    match node:
        case Not(inner):
            return leaves(inner, negated=not negated)
        case And(nodes) | Or(nodes):
            return [leaf for inner in nodes for leaf in leaves(inner, negated=negated)]
        case _:
            return [(node, negated)]

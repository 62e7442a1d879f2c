"""What a transform is, and what it hands back.

A transform runs in a worker process and works on whole batches. It does no I/O, keeps nothing of a
batch after it has returned and never raises because of an event: one that it cannot handle goes on,
is rejected or is discarded as its options say, and its neighbours are not touched. It never changes
an event in place, because an event may go to several components; it makes new ones. Events come out
in the order they went in.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, ClassVar

import orjson
from pydantic import Field

from tailrace.collect.component import LOGS, NO_GRAPH, EventKind, Options

FILTERED = "filtered"
"""Reason for which a condition discards events."""

Event = dict[str, Any]
"""One event: JSON values, and `Timestamp` for what Vector holds as a timestamp."""


class Timestamp(str):
    """RFC 3339 text in UTC that VRL sees as a timestamp; to everybody else it is text.

    Text, because a `datetime` has no nanoseconds and a JSON encoder need not know of this class.
    """

    __slots__ = ()


def as_timestamp(milliseconds: int) -> Timestamp:
    """Milliseconds since 1970 as an event has them."""
    return Timestamp(f"{_second(milliseconds // 1000)}{milliseconds % 1000:03d}Z")


@lru_cache(256)
def _second(seconds: int) -> str:
    """The beginning of all timestamps of a second."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.")


@dataclass(slots=True)
class Outputs:
    """What became of one batch; each event that went in is in exactly one place, or in several
    where the transform copies (`route`) or splits (`remap` that ends with an array)."""

    default: list[Event] = field(default_factory=list)
    """Events for whoever names the component itself as input."""

    named: dict[str, list[Event]] = field(default_factory=dict)
    """Events for whoever names `<component>.<output>` as input."""

    rejected: list[tuple[bytes, str]] = field(default_factory=list)
    """The event as JSON, untouched, and the reason: for the rejected table."""

    discarded: Counter[str] = field(default_factory=Counter)
    """How many events were dropped on purpose, by reason."""

    errors: int = 0
    """How many events failed, whatever became of them."""


@dataclass(frozen=True)
class TransformContext:
    """What a transform may know of its surroundings."""

    component_id: str
    timezone: str = "local"
    """Zone of timestamps that name none: a name of the time zone database, or `local`."""
    consumed_outputs: frozenset[str] = frozenset()
    """Its named outputs that somebody takes. What would go to another is rejected where it failed,
    and discarded where it was let go on purpose."""
    typed_output: bool = True
    """Whether timestamps leave as `Timestamp`; plain text costs less where only sinks follow."""


class Transform(ABC):
    """A running transform; see the module's contract."""

    @abstractmethod
    def run(self, events: list[Event]) -> Outputs:
        """Transform one batch."""


@dataclass(frozen=True)
class VrlStep:
    """A transform that is nothing but VRL: a program, or a condition that lets events through."""

    source: str
    timezone: str
    is_condition: bool = False


class TransformConfig(Options, ABC):
    """A transform's options, as they stand in the file; built into a Transform in the worker."""

    not_taken: ClassVar[Mapping[str, str]] = {"graph": NO_GRAPH}

    takes: ClassVar[frozenset[EventKind]] = LOGS
    """Kinds of events that may come in."""

    gives: ClassVar[frozenset[EventKind] | None] = None
    """Kinds of events that come out; None: those that have come in."""

    type: str
    """Vector's name for the kind of transform."""

    inputs: tuple[str, ...] = Field(min_length=1)
    """Components whose events it takes; `*` stands for any text."""

    def named_outputs(self) -> frozenset[str]:
        """Outputs besides the default one, without the component's id."""
        return frozenset()

    def has_default_output(self) -> bool:
        """Whether the component itself can be an input of others."""
        return True

    def problems(self, timezone: str) -> list[tuple[str, str]]:
        """What is wrong with programs inside the options: (option, diagnostics) each."""
        del timezone
        return []

    def vrl_step(self, context: TransformContext) -> VrlStep | None:
        """What it does to events that do not fail, where that is nothing but VRL."""
        del context
        return None

    @abstractmethod
    def build(self, context: TransformContext) -> Transform:
        """The running transform."""


def as_json(event: Event) -> bytes:
    """The event as one line of JSON, for the rejected table."""
    return orjson.dumps(event)

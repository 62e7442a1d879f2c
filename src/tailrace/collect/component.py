"""What sources and sinks have in common: a configuration class and a way to build one.

Each component's file holds its configuration beside its code and offers one `Component`; the
registries `SOURCES` and `SINKS` list them by Vector's names. An option that a configuration class
does not know is refused by name: none is ever ignored. (Transforms: `tailrace.collect.transform`.)
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

Built_co = TypeVar("Built_co", covariant=True)


class Options(BaseModel):
    """A table of options in a configuration file; unknown ones are refused."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, populate_by_name=True
    )

    not_taken: ClassVar[Mapping[str, str]] = {}
    """Options of Vector's that are refused on purpose, and why or what to give in their place."""


EventKind = Literal["Log", "Metric"]
"""Vector's two kinds of events; both are JSON here (a metric: `tailrace.collect.metric_event`)."""

LOGS: frozenset[EventKind] = frozenset({"Log"})
METRICS: frozenset[EventKind] = frozenset({"Metric"})
LOGS_AND_METRICS = LOGS | METRICS

NO_GRAPH = "it decorates what `vector graph` draws, which Tailrace does not have"
COMMON_NOT_TAKEN = {
    "graph": NO_GRAPH,
    "log_namespace": "events are laid out as Vector's legacy namespace has them",
}


class SourceConfig(Options):
    """Base of the configurations of sources."""

    not_taken: ClassVar[Mapping[str, str]] = COMMON_NOT_TAKEN

    type: str
    """Vector's name for the kind of source."""

    def added_fields(self) -> frozenset[str]:
        """Names of the fields that events get, besides `source_type` and `timestamp`."""
        return frozenset()

    def output(self) -> str:
        """Name of its output, where that is not the component itself: `<id>.<output>`."""
        return ""

    @property
    def codec(self) -> str:
        """Name of the codec that turns its frames into events."""
        return "bytes"

    @property
    def enveloped(self) -> bool:
        """Whether each frame comes in an envelope: see `tailrace.collect.envelope`."""
        return False


class Buffer(Options):
    """What waits for a sink. It waits on disk, fsynced, with either `type`, in one buffer for each
    source; where a source reaches several sinks, the smallest of their limits counts."""

    type: Literal["memory", "disk"] = "memory"
    """Kind of buffer. Everything that Vector promises of `memory` holds on disk as well."""

    max_size: int | None = Field(default=None, ge=1024**2, validate_default=True)
    """Size in bytes on disk at which a source's buffer is full; one append may exceed it. `disk`
    must have it, as in Vector. Unset: TAILRACE_BUFFER_MAX_BYTES."""

    max_events: int | None = Field(default=None, ge=1)
    """Events at which the buffer is full (memory). As in Vector those do not count that are in a
    batch in the making or on its way, only those in batches whose turn has not come. Unset: no
    such limit."""

    when_full: Literal["block", "drop_newest"] = "block"
    """What becomes of new events when the buffer is full. `block`: their senders wait, or are told
    to come again. `drop_newest`: they are taken, acknowledged and dropped, before any transform has
    seen them, and counted as discarded by their source with the reason `buffer_full`; nobody waits,
    unless the disk itself is full or fails. The same for all sinks that a source reaches."""

    @field_validator("max_size")
    @classmethod
    def _disk_has_a_size(cls, max_size: int | None, information: ValidationInfo) -> int | None:
        if max_size is None and information.data.get("type") == "disk":
            raise PydanticCustomError("missing", "Field required")
        return max_size

    @field_validator("max_events")
    @classmethod
    def _memory_has_a_count(cls, max_events: int | None, information: ValidationInfo) -> int | None:
        if max_events is not None and information.data.get("type") == "disk":
            raise ValueError("belongs to type memory: a disk buffer has max_size")
        return max_events

    @field_validator("when_full", mode="before")
    @classmethod
    def _no_overflow(cls, when_full: Any) -> Any:
        if when_full == "overflow":
            raise ValueError(
                "cannot be 'overflow': there is one buffer, on disk; give block or drop_newest"
            )
        return when_full


class SinkConfig(Options):
    """Base of the configurations of sinks."""

    takes: ClassVar[frozenset[EventKind]] = LOGS
    """Kinds of events that may come in; whoever writes JSON takes metrics, too."""

    templates: ClassVar[frozenset[str]] = frozenset()
    """Options that each event fills in; in all others `{{` is refused."""

    not_taken: ClassVar[Mapping[str, str]] = {
        "graph": NO_GRAPH,
        "healthcheck": "there is nobody to ask whether events would be taken",
        "proxy": "what is sent goes straight to its address",
    }

    type: str
    """Vector's name for the kind of sink."""

    inputs: tuple[str, ...] = Field(min_length=1)
    """Names of the sources and transforms whose events come in."""

    buffer: Buffer = Buffer()
    """How much may wait, and what becomes of events that come then."""

    @field_validator("buffer", mode="before")
    @classmethod
    def _one_buffer(cls, buffer: Any) -> Any:
        if isinstance(buffer, list):
            raise ValueError(
                "cannot be a list: there is one buffer, on disk, which nothing overflows into; "
                "give one table of options"
            )
        return buffer


@dataclass(frozen=True)
class Component(Generic[Built_co]):
    """An entry of a registry: the options of a kind of component and what makes one of them."""

    config: type[Options]
    build: Callable[..., Built_co]

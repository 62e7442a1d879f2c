"""What sources and sinks have in common: a configuration class and a way to build one.

Each component's file holds its configuration beside its code and offers one `Component`; the
registries `SOURCES` and `SINKS` list them by Vector's names. An option that a configuration class
does not know is refused by name: none is ever ignored. (Transforms: `tailrace.collect.transform`.)
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

Built_co = TypeVar("Built_co", covariant=True)


class Options(BaseModel):
    """A table of options in a configuration file; unknown ones are refused."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, populate_by_name=True
    )


class SourceConfig(Options):
    """Base of the configurations of sources."""

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


class SinkConfig(Options):
    """Base of the configurations of sinks."""

    templates: ClassVar[frozenset[str]] = frozenset()
    """Options that each event fills in; in all others `{{` is refused."""

    type: str
    """Vector's name for the kind of sink."""

    inputs: tuple[str, ...] = Field(min_length=1)
    """Names of the sources and transforms whose events come in."""


@dataclass(frozen=True)
class Component(Generic[Built_co]):
    """An entry of a registry: the options of a kind of component and what makes one of them."""

    config: type[Options]
    build: Callable[..., Built_co]

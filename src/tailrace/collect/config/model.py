"""A pipeline configuration after every check: nothing in it has to be looked up again."""

from dataclasses import dataclass
from pathlib import Path

from tailrace.collect.component import SinkConfig, SourceConfig
from tailrace.collect.config.unit_tests import UnitTest
from tailrace.collect.transform import TransformConfig


@dataclass(frozen=True)
class Registries:
    """The components that there are, by Vector's names for them."""

    sources: dict[str, type[SourceConfig]]
    transforms: dict[str, type[TransformConfig]]
    sinks: dict[str, type[SinkConfig]]


@dataclass(frozen=True)
class Config:
    """What the files say together.

    Sources, transforms and sinks are their component's own configuration class, by id; `inputs` of
    transforms and sinks hold no wildcards any more, but component ids and `id.output`.
    """

    sources: dict[str, SourceConfig]
    transforms: dict[str, TransformConfig]
    sinks: dict[str, SinkConfig]
    order: tuple[str, ...]
    """Ids of the transforms, each after everything that it takes events from."""
    data_dir: Path | None = None
    timezone: str = "local"
    acknowledgements: bool | None = None
    healthchecks: bool = True
    """Whether sinks are asked for their health at start."""
    require_healthy: bool = False
    """Whether the collector starts only when all of them are well."""
    tests: tuple[UnitTest, ...] = ()
    warnings: tuple[str, ...] = ()
    """What is odd but runs: components that nobody takes events from."""

    def consumed_outputs(self, component_id: str) -> frozenset[str]:
        """Named outputs of a component that somebody takes."""
        prefix = f"{component_id}."
        return frozenset(
            name.removeprefix(prefix)
            for taker in self.takers().values()
            for name in taker.inputs
            if name.startswith(prefix)
        )

    def consumers(self, output: str) -> tuple[str, ...]:
        """Transforms and sinks that take an output: a component's id or `id.output`."""
        return tuple(name for name, taker in self.takers().items() if output in taker.inputs)

    def wants_timestamps(self, component_id: str) -> bool:
        """Whether someone who takes what a component makes tells timestamps from text.

        Transforms do; a sink does where it writes timestamps in another form than RFC 3339. Named
        outputs are not asked for: events leave there as they came.
        """
        if any(component_id in transform.inputs for transform in self.transforms.values()):
            return True
        sinks = (sink for sink in self.sinks.values() if component_id in sink.inputs)
        formats = (getattr(sink, "encoding", None) for sink in sinks)
        return any(getattr(one, "timestamp_format", "rfc3339") != "rfc3339" for one in formats)

    def takers(self) -> dict[str, TransformConfig | SinkConfig]:
        """Everything that has inputs, by id."""
        return {**self.transforms, **self.sinks}

"""Which way each source's events go: through which transforms, to which sinks."""

from collections.abc import Mapping
from dataclasses import dataclass

from tailrace.collect.config import Config
from tailrace.collect.config.graph import owner, reached
from tailrace.collect.delivery import Route
from tailrace.collect.metrics import ComponentMetrics
from tailrace.collect.pipeline import PipelineSpec
from tailrace.collect.sink import Sink
from tailrace.collect.transform import TransformContext
from tailrace.errors import ConfigurationError

BYTES_AS_THEY_ARE = "json"
"""The codec whose lines are already what sinks send."""


@dataclass(frozen=True)
class Plan:
    """One source's way."""

    source_id: str
    spec: PipelineSpec
    metrics: Mapping[str, ComponentMetrics]

    @property
    def sink_ids(self) -> tuple[str, ...]:
        """The sinks that it reaches."""
        return tuple(self.spec.sink_inputs)

    def routes(self, sinks: Mapping[str, Sink]) -> list[Route]:
        """The way to each of them."""
        return [
            Route(
                sink_id,
                sinks[sink_id],
                self.metrics[sink_id],
                is_direct=self.spec.codec == BYTES_AS_THEY_ARE
                and not self.spec.enveloped
                and inputs == (self.source_id,),
                may_be_ready=self.spec.enveloped and inputs == (self.spec.decoded,),
            )
            for sink_id, inputs in self.spec.sink_inputs.items()
        ]


def plan(config: Config, metrics: Mapping[str, ComponentMetrics]) -> list[Plan]:
    """The way of each source; raises ConfigurationError where one leads nowhere."""
    plans = [Plan(source_id, _spec(config, source_id), metrics) for source_id in config.sources]
    lost = [one.source_id for one in plans if not one.sink_ids]
    if lost:
        raise ConfigurationError(
            *(f"cannot run source {name!r}: no sink takes its events" for name in lost)
        )
    return plans


def _spec(config: Config, source_id: str) -> PipelineSpec:
    inputs = {name: transform.inputs for name, transform in config.transforms.items()}
    way = reached(source_id, config.order, inputs)
    transforms = {name: config.transforms[name] for name in config.order if name in way}
    components = config.sources.keys() | config.transforms.keys()
    sink_inputs = {
        sink_id: tuple(name for name in sink.inputs if owner(name, components) in way)
        for sink_id, sink in config.sinks.items()
    }
    source = config.sources[source_id]
    return PipelineSpec(
        source_id,
        source.type,
        source.codec,
        transforms,
        {
            name: TransformContext(
                name,
                config.timezone,
                config.consumed_outputs(name),
                config.wants_timestamps(name),
            )
            for name in transforms
        },
        {sink_id: inputs for sink_id, inputs in sink_inputs.items() if inputs},
        source.output(),
        source.enveloped,
    )

"""A pipeline configuration after every check: nothing in it has to be looked up again."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tailrace.collect.transform import TransformConfig


@dataclass(frozen=True)
class Config:
    """What the files say together.

    Sources, transforms and sinks are their component's own configuration class, by id; `inputs` of
    transforms and sinks hold no wildcards any more, but component ids and `id.output`.
    """

    sources: dict[str, Any]
    transforms: dict[str, TransformConfig]
    sinks: dict[str, Any]
    order: tuple[str, ...]
    """Ids of the transforms, each after everything that it takes events from."""
    types: dict[str, str]
    """Each component's `type`, by id."""
    data_dir: Path | None = None
    timezone: str = "local"
    acknowledgements: bool = False
    healthchecks: bool = True
    tests: tuple[Any, ...] = ()
    warnings: tuple[str, ...] = ()
    """What is odd but runs: outputs that nobody takes, sources without a consumer."""

    def consumed_outputs(self, component_id: str) -> frozenset[str]:
        """Named outputs of a component that somebody takes."""
        prefix = f"{component_id}."
        takers = (*self.transforms.values(), *self.sinks.values())
        return frozenset(
            name.removeprefix(prefix)
            for taker in takers
            for name in taker.inputs
            if name.startswith(prefix)
        )

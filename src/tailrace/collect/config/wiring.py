"""Checks who gives events to whom, and notes what is odd about it."""

from typing import Any

from tailrace.collect.component import SinkConfig, SourceConfig
from tailrace.collect.config.graph import expand, order_of
from tailrace.collect.config.merge import Merged
from tailrace.collect.config.problem import did_you_mean
from tailrace.collect.transform import TransformConfig


class Wiring:
    """Resolved inputs of transforms and sinks, whose problems go to `merged`.

    `with_strangers` lets inputs stand that no component gives, for tests of transforms alone.
    A component with a wrong option (`broken`) does not make those who take from it look wrong, too.
    """

    def __init__(
        self,
        merged: Merged,
        sources: dict[str, SourceConfig],
        transforms: dict[str, TransformConfig],
        sinks: dict[str, SinkConfig],
        *,
        with_strangers: bool = False,
    ) -> None:
        self._merged = merged
        self._with_strangers = with_strangers
        self.broken = {
            name
            for section, valid in (("sources", sources), ("transforms", transforms))
            for name in merged.data[section]
            if name not in valid
        }
        self._outputs = _outputs(sources, transforms)
        self.transforms = {
            name: transform.model_copy(
                update={"inputs": self._resolve("transforms", name, transform)}
            )
            for name, transform in transforms.items()
        }
        self.sinks = {
            name: sink.model_copy(update={"inputs": self._resolve("sinks", name, sink)})
            for name, sink in sinks.items()
        }
        self.order = self._order()
        self.warnings = self._loose_ends(sources)

    def outputs(self) -> list[str]:
        """Every name that can be an input."""
        return self._outputs

    def _resolve(self, section: str, name: str, taker: Any) -> tuple[str, ...]:
        place = (section, name, "inputs")
        given = list(taker.inputs)
        for index, wanted in enumerate(given):
            if wanted in given[:index]:
                self._merged.wrong((*place, index), f'"{wanted}" stands here twice')
        resolved = expand(given, self._outputs, name)
        known = {*self._outputs} - {name}
        for wanted in resolved:
            if wanted in known or wanted.partition(".")[0] in self.broken:
                continue
            if self._with_strangers and wanted != name:
                continue
            index = given.index(wanted)
            message = f'no component gives "{wanted}"{did_you_mean(wanted, known)}'
            if wanted == name:
                message = "a component cannot take its own events"
            self._merged.wrong((*place, index), message)
        return tuple(resolved)

    def _order(self) -> tuple[str, ...]:
        order, cycle = order_of({name: t.inputs for name, t in self.transforms.items()})
        if cycle and len(set(cycle)) > 1:
            chain = " -> ".join(cycle)
            self._merged.wrong(
                ("transforms", cycle[0], "inputs"), f"events go in a circle: {chain}"
            )
        return tuple(order)

    def _loose_ends(self, sources: dict[str, SourceConfig]) -> tuple[str, ...]:
        takers: list[TransformConfig | SinkConfig] = [
            *self.transforms.values(),
            *self.sinks.values(),
        ]
        taken = {name for taker in takers for name in taker.inputs}
        return tuple(
            self._merged.described(
                ("sources" if output in sources else "transforms", output.partition(".")[0]),
                f'nobody takes the events of "{output}"',
            )
            for output in self._outputs
            if output not in taken
        )


def _outputs(sources: dict[str, SourceConfig], transforms: dict[str, TransformConfig]) -> list[str]:
    names = [f"{name}.{one.output()}" if one.output() else name for name, one in sources.items()]
    for name, transform in transforms.items():
        names += [name] if transform.has_default_output() else []
        names += [f"{name}.{output}" for output in sorted(transform.named_outputs())]
    return names

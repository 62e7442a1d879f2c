"""Transform `route`: sends an event to every output whose condition is true of it.

Outputs are `<id>.<name>`, and `<id>._unmatched` for the events that no condition wants. There is no
output under the bare id, as in Vector. An event is shared by its outputs, not copied.
"""

from typing import ClassVar

from pydantic import Field, field_validator
from typing_extensions import override

from tailrace.collect.component import LOGS_AND_METRICS, EventKind
from tailrace.collect.condition import Condition, ConditionConfig, condition_problem
from tailrace.collect.routing import UNMATCHED, send
from tailrace.collect.transform import (
    Event,
    Outputs,
    Transform,
    TransformConfig,
    TransformContext,
)


class RouteConfig(TransformConfig):
    """Options of `route`."""

    takes: ClassVar[frozenset[EventKind]] = LOGS_AND_METRICS

    route: dict[str, ConditionConfig] = Field(min_length=1)
    """A condition for each output, by the output's name."""

    reroute_unmatched: bool = True
    """Send what no condition wants to the output `_unmatched`, rather than drop it."""

    @field_validator("route")
    @classmethod
    def _no_reserved_name(cls, route: dict[str, ConditionConfig]) -> dict[str, ConditionConfig]:
        if UNMATCHED in route:
            raise ValueError(f'"{UNMATCHED}" is the output of what no route wants')
        return route

    @override
    def named_outputs(self) -> frozenset[str]:
        return frozenset(self.route) | ({UNMATCHED} if self.reroute_unmatched else set())

    @override
    def has_default_output(self) -> bool:
        return False

    @override
    def problems(self, timezone: str) -> list[tuple[str, str]]:
        found = ((name, condition_problem(c, timezone)) for name, c in self.route.items())
        return [(f"route.{name}", problem) for name, problem in found if problem]

    @override
    def build(self, context: TransformContext) -> Transform:
        return Route(self, context)


class Route(Transform):
    """A running `route`."""

    def __init__(self, config: RouteConfig, context: TransformContext) -> None:
        self._context = context
        self._reroute_unmatched = config.reroute_unmatched
        self._conditions = {
            name: Condition(condition, context.timezone) for name, condition in config.route.items()
        }

    @override
    def run(self, events: list[Event]) -> Outputs:
        outputs = Outputs()
        wanted = [False] * len(events)
        for name, condition in self._conditions.items():
            for index, answer in enumerate(condition.run(events)):
                if answer is True:
                    wanted[index] = True
                    send(events[index], name, outputs, self._context)
                else:
                    outputs.errors += answer is not False
        for event, matched in zip(events, wanted, strict=True):
            if not matched and self._reroute_unmatched:
                send(event, UNMATCHED, outputs, self._context)
            elif not matched:
                outputs.discarded["unmatched"] += 1
        return outputs

"""Transform `exclusive_route`: sends an event to the first output whose condition is true of it.

Outputs are `<id>.<name>`, and `<id>._unmatched` for the events that no condition wants.
"""

from typing import ClassVar, Self

from pydantic import Field, model_validator
from typing_extensions import override

from tailrace.collect.component import LOGS_AND_METRICS, EventKind, Options
from tailrace.collect.condition import Condition, ConditionConfig, condition_problem
from tailrace.collect.routing import UNMATCHED, send
from tailrace.collect.transform import (
    Event,
    Outputs,
    Transform,
    TransformConfig,
    TransformContext,
)


class NamedRoute(Options):
    """One of the routes, in the order in which they are tried."""

    name: str
    """Name of the output."""

    condition: ConditionConfig
    """VRL that ends in a boolean."""


class ExclusiveRouteConfig(TransformConfig):
    """Options of `exclusive_route`."""

    takes: ClassVar[frozenset[EventKind]] = LOGS_AND_METRICS

    routes: tuple[NamedRoute, ...] = Field(min_length=1)
    """The routes, in the order in which they are tried."""

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [route.name for route in self.routes]
        if len(set(names)) < len(names) or UNMATCHED in names:
            raise ValueError(f'route names must differ, and none may be "{UNMATCHED}"')
        return self

    @override
    def named_outputs(self) -> frozenset[str]:
        return frozenset({UNMATCHED, *(route.name for route in self.routes)})

    @override
    def has_default_output(self) -> bool:
        return False

    @override
    def problems(self, timezone: str) -> list[tuple[str, str]]:
        found = (condition_problem(route.condition, timezone) for route in self.routes)
        return [
            (f"routes[{index}].condition", problem)
            for index, problem in enumerate(found)
            if problem
        ]

    @override
    def build(self, context: TransformContext) -> Transform:
        return ExclusiveRoute(self, context)


class ExclusiveRoute(Transform):
    """A running `exclusive_route`."""

    def __init__(self, config: ExclusiveRouteConfig, context: TransformContext) -> None:
        self._context = context
        self._routes = [
            (route.name, Condition(route.condition, context.timezone)) for route in config.routes
        ]

    @override
    def run(self, events: list[Event]) -> Outputs:
        outputs = Outputs()
        chosen = [UNMATCHED] * len(events)
        left = list(range(len(events)))
        for name, condition in self._routes:
            answers = condition.run([events[index] for index in left])
            outputs.errors += sum(not isinstance(answer, bool) for answer in answers)
            for index, answer in zip(left, answers, strict=True):
                if answer is True:
                    chosen[index] = name
            left = [index for index in left if chosen[index] == UNMATCHED]
        for event, name in zip(events, chosen, strict=True):
            send(event, name, outputs, self._context)
        return outputs

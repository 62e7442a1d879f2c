"""Transform `filter`: lets through the events of which its condition is true.

What it drops is dropped on purpose and counted. A condition that fails counts as false and as an
error, as in Vector.
"""

from typing import ClassVar

from typing_extensions import override

from tailrace.collect.component import LOGS_AND_METRICS, EventKind
from tailrace.collect.condition import (
    Condition,
    ConditionConfig,
    condition_problem,
    source_of,
)
from tailrace.collect.transform import (
    FILTERED,
    Event,
    Outputs,
    Transform,
    TransformConfig,
    TransformContext,
    VrlStep,
)


class FilterConfig(TransformConfig):
    """Options of `filter`."""

    takes: ClassVar[frozenset[EventKind]] = LOGS_AND_METRICS

    condition: ConditionConfig
    """VRL that ends in a boolean."""

    @override
    def problems(self, timezone: str) -> list[tuple[str, str]]:
        problem = condition_problem(self.condition, timezone)
        return [("condition", problem)] if problem else []

    @override
    def vrl_step(self, context: TransformContext) -> VrlStep:
        return VrlStep(source_of(self.condition), context.timezone, is_condition=True)

    @override
    def build(self, context: TransformContext) -> Transform:
        return Filter(Condition(self.condition, context.timezone))


class Filter(Transform):
    """A running `filter`."""

    def __init__(self, condition: Condition) -> None:
        self._condition = condition

    @override
    def run(self, events: list[Event]) -> Outputs:
        outputs = Outputs()
        for event, answer in zip(events, self._condition.run(events), strict=True):
            if answer is True:
                outputs.default.append(event)
                continue
            outputs.discarded[FILTERED] += 1
            outputs.errors += answer is not False
        return outputs

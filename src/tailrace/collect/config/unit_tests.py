"""The section `tests:` of a configuration, as Vector defines it."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from tailrace.collect.component import Options
from tailrace.collect.condition import ConditionConfig
from tailrace.collect.metric_event import read_metric


class EventInput(Options):
    """An event that a test puts into a transform."""

    insert_at: str
    """The transform that gets it."""

    type: Literal["raw", "log", "vrl", "metric"] = "raw"
    """How the event is given."""

    value: str | None = None
    """`raw`: the message."""

    log_fields: dict[str, Any] | None = None
    """`log`: fields by path."""

    source: str | None = None
    """`vrl`: a program that makes the event."""

    metric: dict[str, Any] | None = None
    """`metric`: the metric's parts, as JSON has them."""

    @model_validator(mode="after")
    def _has_its_event(self) -> Self:
        option = {"raw": "value", "log": "log_fields", "vrl": "source", "metric": "metric"}
        if getattr(self, option[self.type]) is None:
            raise ValueError(f'an input of type {self.type} needs the option "{option[self.type]}"')
        if self.metric is not None:
            read_metric(self.metric)
        return self


class ExpectedOutput(Options):
    """What a test expects of transforms' outputs."""

    extract_from: str | tuple[str, ...]
    """Transforms, or their named outputs, whose events are looked at together."""

    conditions: tuple[ConditionConfig, ...] = ()
    """Each must be true of at least one of the events."""

    expected_event_count: int | None = Field(default=None, ge=0)
    """How many events there must be."""

    def outputs(self) -> tuple[str, ...]:
        """`extract_from` as a list."""
        given = self.extract_from
        return (given,) if isinstance(given, str) else given


class UnitTest(Options):
    """One test."""

    name: str
    """What it is called in the report."""

    inputs: tuple[EventInput, ...] = ()
    """Events that go in."""

    input: EventInput | None = None
    """The same for a single event."""

    outputs: tuple[ExpectedOutput, ...] = ()
    """What must come out."""

    no_outputs_from: tuple[str, ...] = ()
    """Outputs that must stay without events."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.all_inputs():
            raise ValueError('a test needs "inputs"')
        if not self.outputs and not self.no_outputs_from:
            raise ValueError('a test needs "outputs" or "no_outputs_from"')
        return self

    def all_inputs(self) -> tuple[EventInput, ...]:
        """`inputs` and `input` together."""
        return (*self.inputs, *((self.input,) if self.input else ()))

"""Transform `sample`: lets one of so many events through, or a share of them.

With `key_field` the value of that field decides, so that all events with the same value go together;
which values those are is not what Vector chooses (its hash is another), their share is. Without it
every so-manieth event goes through, counted by `group_by`. What goes through tells the rate in the
field `sample_rate_key`.
"""

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, ClassVar, Self

from pydantic import Field, field_validator, model_validator
from tailrace.collect.condition import Condition, ConditionConfig, condition_problem
from tailrace.collect.encoding import as_text
from tailrace.collect.fields import get_field, split_path
from tailrace.collect.stateful import Moment, StatefulConfig, StatefulTransform
from tailrace.collect.template import Template, TemplateError
from tailrace.collect.transform import Event, Outputs, Transform, TransformContext
from typing_extensions import override

_HASHES = 2**64


class SampleConfig(StatefulConfig):
    """Options of `sample`."""

    not_taken: ClassVar[Mapping[str, str]] = {
        **StatefulConfig.not_taken,
        "rate_field": "the rate is the same for all events",
        "ratio_field": "the ratio is the same for all events",
        "max_groups": "every group is remembered: it is one number",
    }

    rate: int | None = Field(default=None, ge=1)
    """One of so many events goes through."""

    ratio: float | None = Field(default=None, gt=0, le=1)
    """This share of the events goes through."""

    key_field: str | None = None
    """Field whose value decides."""

    group_by: str | None = None
    """Template; events that it gives different texts are counted apart."""

    sample_rate_key: str = "sample_rate"
    """Field that what goes through gets, with `rate` or `ratio` as text; empty: none."""

    exclude: ConditionConfig | None = None
    """Events that this is true of go through, uncounted."""

    @field_validator("key_field")
    @classmethod
    def _is_path(cls, path: str | None) -> str | None:
        if path is not None:
            split_path(path)
        return path

    @field_validator("group_by")
    @classmethod
    def _is_template(cls, text: str | None) -> str | None:
        if text is not None:
            Template.parse(text)
        return text

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.rate is None) == (self.ratio is None):
            raise ValueError('give exactly one of "rate" and "ratio"')
        return self

    @override
    def problems(self, timezone: str) -> list[tuple[str, str]]:
        problem = condition_problem(self.exclude, timezone) if self.exclude is not None else None
        return [("exclude", problem)] if problem else []

    @override
    def build(self, context: TransformContext) -> Transform:
        return Sample(self, context.timezone)


class Sample(StatefulTransform):
    """A running `sample`."""

    def __init__(self, config: SampleConfig, timezone: str) -> None:
        self._config = config
        self._share = config.ratio or 1 / (config.rate or 1)
        self._key = split_path(config.key_field) if config.key_field else None
        self._group = Template(config.group_by) if config.group_by else None
        self._exclude = Condition(config.exclude, timezone) if config.exclude is not None else None
        self._counts: dict[str, float] = {}
        """By group: events so far (`rate`), or what of the next event is due (`ratio`)."""

    @override
    def run_at(self, events: list[Event], moment: Moment) -> Outputs:
        outputs = Outputs()
        excluded = self._exclude.run(events) if self._exclude else [False] * len(events)
        for event, is_excluded in zip(events, excluded, strict=True):
            if is_excluded is True:
                outputs.default.append(event)
            elif self._goes(event):
                outputs.default.append(self._marked(event))
            else:
                outputs.discarded["sampled out"] += 1
        return outputs

    @override
    def state(self) -> Any:
        return dict(self._counts)

    @override
    def restore(self, state: Any) -> None:
        self._counts = dict(state)

    def _goes(self, event: Event) -> bool:
        is_due = self._is_due(self._group_of(event))
        value = get_field(event, self._key) if self._key else None
        if value is None:
            return is_due
        digest = blake2b(as_text(value).encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") < self._share * _HASHES

    def _is_due(self, group: str) -> bool:
        """Count one more event; the first of a group is always due."""
        rate = self._config.rate
        if rate:
            count = self._counts.get(group, 0)
            self._counts[group] = (count + 1) % rate
            return count == 0
        due = self._counts.get(group, 1 - self._share) + self._share
        self._counts[group] = due - 1 if due >= 1 else due
        return due >= 1

    def _group_of(self, event: Event) -> str:
        if self._group is None:
            return ""
        try:
            return self._group.fill(event)
        except TemplateError:
            return ""

    def _marked(self, event: Event) -> Event:
        if not self._config.sample_rate_key:
            return event
        return {**event, self._config.sample_rate_key: str(self._config.rate or self._config.ratio)}

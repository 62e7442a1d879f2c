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
from typing_extensions import override

from tailrace.collect.encoding import as_text
from tailrace.collect.fields import get_field, split_path
from tailrace.collect.selective import SelectiveConfig, SelectiveTransform
from tailrace.collect.stateful import Moment
from tailrace.collect.template import TemplateText
from tailrace.collect.transform import Event, Outputs, Transform, TransformContext

_HASHES = 2**64


class SampleConfig(SelectiveConfig):
    """Options of `sample`."""

    not_taken: ClassVar[Mapping[str, str]] = {
        **SelectiveConfig.not_taken,
        "rate_field": "the rate is the same for all events",
        "ratio_field": "the ratio is the same for all events",
        "max_groups": "every group is remembered: it is one number",
    }

    rate: int | None = Field(default=None, ge=1)
    """One of so many events goes through. Unset where `ratio` is given."""

    ratio: float | None = Field(default=None, gt=0, le=1)
    """This share of the events goes through. Unset where `rate` is given."""

    key_field: str | None = None
    """Field whose value decides. Unset, or of events without it: the count does."""

    group_by: TemplateText | None = None
    """Template; events that it gives different texts are counted apart. Unset: all are counted
    together."""

    sample_rate_key: str = "sample_rate"
    """Field that what goes through gets, with `rate` or `ratio` as text; empty: none."""

    @field_validator("key_field")
    @classmethod
    def _is_path(cls, path: str | None) -> str | None:
        if path is not None:
            split_path(path)
        return path

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.rate is None) == (self.ratio is None):
            raise ValueError('give exactly one of "rate" and "ratio"')
        return self

    @override
    def build(self, context: TransformContext) -> Transform:
        return Sample(self, context.timezone)


class Sample(SelectiveTransform):
    """A running `sample`."""

    def __init__(self, config: SampleConfig, timezone: str) -> None:
        super().__init__(config, config.group_by, timezone)
        self._config = config
        self._share = config.ratio or 1 / (config.rate or 1)
        self._key = split_path(config.key_field) if config.key_field else None
        self._counts: dict[str, float] = {}
        """By group: events so far (`rate`), or what of the next event is due (`ratio`)."""

    @override
    def run_at(self, events: list[Event], moment: Moment) -> Outputs:
        outputs = Outputs()
        for event, is_excluded in self.judged(events):
            if is_excluded:
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
        is_due = self._is_due(self.group_of(event))
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

    def _marked(self, event: Event) -> Event:
        if not self._config.sample_rate_key:
            return event
        return {**event, self._config.sample_rate_key: str(self._config.rate or self._config.ratio)}

"""Transform `throttle`: drops events that come faster than they may.

`threshold` events may come at once; after that one more each `window_secs / threshold`, as in
Vector (the generic cell rate algorithm). Counted apart for each text that `key_field` gives. Time
is the time of arrival.
"""

from typing import Any

from pydantic import Field
from typing_extensions import override

from tailrace.collect.component import Options
from tailrace.collect.selective import SelectiveConfig, SelectiveTransform
from tailrace.collect.stateful import Moment
from tailrace.collect.template import TemplateText
from tailrace.collect.transform import Event, Outputs, Transform, TransformContext

KEYS_UNTIL_CLEANED = 10_000


class ThrottleMetrics(Options):
    """What is counted."""

    emit_events_discarded_per_key: bool = False
    """Count what is dropped by key, too; every key is another time series."""


class ThrottleConfig(SelectiveConfig):
    """Options of `throttle`."""

    threshold: int = Field(ge=1)
    """Events that may come within `window_secs`."""

    window_secs: float = Field(gt=0)
    """Seconds."""

    key_field: TemplateText | None = None
    """Template; events that it gives different texts are counted apart. Unset: all are counted
    together."""

    internal_metrics: ThrottleMetrics = ThrottleMetrics()
    """What is counted."""

    @override
    def build(self, context: TransformContext) -> Transform:
        return Throttle(self, context.timezone)


class Throttle(SelectiveTransform):
    """A running `throttle`."""

    def __init__(self, config: ThrottleConfig, timezone: str) -> None:
        super().__init__(config, config.key_field, timezone)
        self._config = config
        self._window_ms = config.window_secs * 1000
        self._interval_ms = self._window_ms / config.threshold
        self._free_at_ms: dict[str, float] = {}
        """By key: when everything that went through has been worked off."""

    @override
    def run_at(self, events: list[Event], moment: Moment) -> Outputs:
        outputs = Outputs()
        for event, is_excluded in self.judged(events):
            key = self.group_of(event)
            if is_excluded or self._may_go(key, moment.now_ms):
                outputs.default.append(event)
            elif self._config.internal_metrics.emit_events_discarded_per_key:
                outputs.discarded[f"rate limited: {key}"] += 1
            else:
                outputs.discarded["rate limited"] += 1
        self._clean(moment.now_ms)
        return outputs

    @override
    def state(self) -> Any:
        return dict(self._free_at_ms)

    @override
    def restore(self, state: Any) -> None:
        self._free_at_ms = dict(state)

    def _may_go(self, key: str, now_ms: int) -> bool:
        free_at_ms = max(self._free_at_ms.get(key, 0.0), now_ms) + self._interval_ms
        # Sums of fractions of a millisecond are not exact.
        if free_at_ms - now_ms > self._window_ms + 1e-3:
            return False
        self._free_at_ms[key] = free_at_ms
        return True

    def _clean(self, now_ms: int) -> None:
        """Forget keys that have nothing to work off."""
        if len(self._free_at_ms) > KEYS_UNTIL_CLEANED:
            self._free_at_ms = {k: at for k, at in self._free_at_ms.items() if at > now_ms}

"""Transform `dedupe`: drops events that are the same as one of the last that came.

What counts is the fields of `fields.match`, or all but those of `fields.ignore`; values of different
types differ. It remembers a digest of 16 bytes for each event, the newest `cache.num_events`.
"""

from collections import OrderedDict
from hashlib import blake2b
from typing import Any, Self

import orjson
from pydantic import Field, field_validator, model_validator
from typing_extensions import override

from tailrace.collect.component import Options
from tailrace.collect.fields import get_field, split_path
from tailrace.collect.stateful import Moment, StatefulConfig, StatefulTransform
from tailrace.collect.transform import Event, Outputs, Transform, TransformContext

DEFAULT_FIELDS = ("timestamp", "host", "message")


class DedupeFields(Options):
    """Which fields make two events the same."""

    match: tuple[str, ...] | None = None
    """These; a field that both have not is the same, too. Unset where `ignore` is given."""

    ignore: tuple[str, ...] | None = None
    """All but these. Unset where `match` is given."""

    @field_validator("match", "ignore")
    @classmethod
    def _are_paths(cls, paths: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for path in paths or ():
            split_path(path)
        return paths

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.match is None) == (self.ignore is None):
            raise ValueError('give exactly one of "match" and "ignore"')
        return self


class DedupeCache(Options):
    """What is remembered."""

    num_events: int = Field(default=5000, ge=1)
    """So many events."""


class DedupeTime(Options):
    """How long something is remembered."""

    max_age_ms: int = Field(ge=1)
    """Milliseconds after which an event may come again."""

    refresh_on_drop: bool = False
    """Count them from the last event that was dropped, not from the one that was let through."""


class DedupeConfig(StatefulConfig):
    """Options of `dedupe`."""

    fields: DedupeFields | None = None
    """Which fields make two events the same; unset: `timestamp`, `host` and `message`."""

    cache: DedupeCache = DedupeCache()
    """What is remembered."""

    time_settings: DedupeTime | None = None
    """How long something is remembered; unset: until there are too many."""

    @override
    def build(self, context: TransformContext) -> Transform:
        return Dedupe(self)


class Dedupe(StatefulTransform):
    """A running `dedupe`."""

    def __init__(self, config: DedupeConfig) -> None:
        fields = config.fields or DedupeFields(match=DEFAULT_FIELDS)
        self._match = [split_path(path) for path in fields.match or ()]
        self._ignore = [split_path(path) for path in fields.ignore or ()]
        self._config = config
        self._seen: OrderedDict[bytes, int] = OrderedDict()
        """Digest and time of arrival, oldest first."""

    @override
    def run_at(self, events: list[Event], moment: Moment) -> Outputs:
        outputs = Outputs()
        for event in events:
            if self._is_known(self._digest(event), moment.now_ms):
                outputs.discarded["seen before"] += 1
            else:
                outputs.default.append(event)
        return outputs

    @override
    def state(self) -> Any:
        return list(self._seen.items())

    @override
    def restore(self, state: Any) -> None:
        self._seen = OrderedDict(state)

    def _is_known(self, digest: bytes, now_ms: int) -> bool:
        limits = self._config.time_settings
        seen_at_ms = self._seen.get(digest)
        if seen_at_ms is not None and (not limits or now_ms - seen_at_ms < limits.max_age_ms):
            if limits is None or limits.refresh_on_drop:
                self._seen[digest] = now_ms
                self._seen.move_to_end(digest)
            return True
        self._seen[digest] = now_ms
        self._seen.move_to_end(digest)
        if len(self._seen) > self._config.cache.num_events:
            self._seen.popitem(last=False)
        return False

    def _digest(self, event: Event) -> bytes:
        if self._match:
            values: Any = [get_field(event, path) for path in self._match]
        else:
            values = _leaves((), event, self._ignore)
        packed = orjson.dumps(values, option=orjson.OPT_SORT_KEYS)
        return blake2b(packed, digest_size=16).digest()


def _leaves(prefix: tuple[str, ...], event: Event, ignored: list[tuple[str, ...]]) -> Event:
    """The event without the ignored fields."""
    return {
        name: _leaves((*prefix, name), value, ignored) if isinstance(value, dict) else value
        for name, value in event.items()
        if (*prefix, name) not in ignored
    }

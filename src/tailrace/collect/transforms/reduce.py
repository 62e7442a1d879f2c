"""Transform `reduce`: makes one event of several.

Events with the same values in the fields of `group_by` are gathered until `ends_when` is true of
one, `starts_when` is true of the next, `max_events` have come, nothing has come for
`expire_after_ms`, or the group is `end_every_period_ms` old; then one event goes on. What becomes of
each field is said in `merge_strategies`; of others, numbers are added up, of timestamps the first
and (in `<field>_end`) the last is kept, and of anything else the first.

What is gathered is on disk before its source's segment is removed (`tailrace.collect.stateful`). At
an orderly end all groups are let go, as in Vector.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

import orjson
from pydantic import Field, field_validator, model_validator
from typing_extensions import override

from tailrace.collect.condition import Condition, ConditionConfig, condition_problem
from tailrace.collect.fields import Path, get_field, put_field, split_path
from tailrace.collect.merge_values import Merge, add, begin, finish
from tailrace.collect.stateful import Moment, StatefulConfig, StatefulTransform
from tailrace.collect.transform import Event, Outputs, Transform, TransformContext

MergeStrategy = Literal[
    "array",
    "concat",
    "concat_newline",
    "concat_raw",
    "discard",
    "flat_unique",
    "longest_array",
    "max",
    "min",
    "retain",
    "shortest_array",
    "sum",
]


class ReduceConfig(StatefulConfig):
    """Options of `reduce`."""

    not_taken: ClassVar[Mapping[str, str]] = {
        **StatefulConfig.not_taken,
        "max_groups": "groups wait on disk, as long as they are not due",
    }

    group_by: tuple[str, ...] = ()
    """Fields whose values events of one group share; none: all events are one group."""

    merge_strategies: dict[str, MergeStrategy] = {}
    """What becomes of a field, by its path."""

    ends_when: ConditionConfig | None = None
    """True of the last event of a group. Unset: no event ends one by what it holds."""

    starts_when: ConditionConfig | None = None
    """True of the first event of a group, before which another ends. Unset: none does."""

    expire_after_ms: int = Field(default=30_000, ge=1)
    """Milliseconds after its last event at which a group ends."""

    flush_period_ms: int = Field(default=1000, ge=1)
    """How often, in milliseconds, groups are looked at whether they end."""

    end_every_period_ms: int | None = Field(default=None, ge=1)
    """Milliseconds after its first event at which a group ends. Unset: it has no such end."""

    max_events: int | None = Field(default=None, ge=1)
    """Events after which a group ends. Unset: however many."""

    @field_validator("group_by", "merge_strategies")
    @classmethod
    def _are_paths(cls, paths: Any) -> Any:
        for path in paths:
            split_path(path)
        return paths

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if self.ends_when is not None and self.starts_when is not None:
            raise ValueError('give only one of "ends_when" and "starts_when"')
        return self

    @override
    def problems(self, timezone: str) -> list[tuple[str, str]]:
        found = [
            (name, condition_problem(condition, timezone))
            for name in ("ends_when", "starts_when")
            if (condition := getattr(self, name)) is not None
        ]
        return [(name, problem) for name, problem in found if problem]

    @override
    def wakes_every_ms(self) -> int | None:
        return self.flush_period_ms

    @override
    def build(self, context: TransformContext) -> Transform:
        return Reduce(self, context.timezone)


class _Group:
    """A group that is being gathered."""

    def __init__(self, first_ms: int) -> None:
        self.first_ms = first_ms
        self.last_ms = first_ms
        self.events = 0
        self.fields: dict[Path, Merge] = {}


class Reduce(StatefulTransform):
    """A running `reduce`."""

    def __init__(self, config: ReduceConfig, timezone: str) -> None:
        self._config = config
        self._group_by = [split_path(path) for path in config.group_by]
        self._strategies = {split_path(p): s for p, s in config.merge_strategies.items()}
        ends, starts = config.ends_when, config.starts_when
        self._ends = Condition(ends, timezone) if ends is not None else None
        self._starts = Condition(starts, timezone) if starts is not None else None
        self._groups: dict[bytes, _Group] = {}

    @property
    @override
    def held(self) -> int:
        return sum(group.events for group in self._groups.values())

    @override
    def run_at(self, events: list[Event], moment: Moment) -> Outputs:
        outputs = Outputs()
        ends = self._ends.run(events) if self._ends else [False] * len(events)
        starts = self._starts.run(events) if self._starts else [False] * len(events)
        outputs.errors += sum(not isinstance(answer, bool) for answer in (*ends, *starts))
        for event, ends_here, starts_here in zip(events, ends, starts, strict=True):
            key = self._key(event)
            if starts_here is True:
                self._let_go(key, outputs)
            group = self._groups.setdefault(key, _Group(moment.now_ms))
            self._gather(group, event, moment.now_ms)
            if ends_here is True or group.events == self._config.max_events:
                self._let_go(key, outputs)
        for key in [key for key, group in self._groups.items() if self._is_due(group, moment)]:
            self._let_go(key, outputs)
        return outputs

    @override
    def state(self) -> Any:
        return [
            [key, group.first_ms, group.last_ms, group.events, list(group.fields.items())]
            for key, group in self._groups.items()
        ]

    @override
    def restore(self, state: Any) -> None:
        self._groups = {}
        for key, first_ms, last_ms, events, fields in state:
            group = self._groups[key] = _Group(first_ms)
            group.last_ms, group.events, group.fields = last_ms, events, dict(fields)

    def _key(self, event: Event) -> bytes:
        return orjson.dumps([get_field(event, path) for path in self._group_by])

    def _gather(self, group: _Group, event: Event, now_ms: int) -> None:
        group.events += 1
        group.last_ms = now_ms
        for path, value in self._leaves((), event):
            merge = group.fields.get(path)
            if merge is not None:
                add(merge, value)
            elif begun := begin(value, self._strategies.get(path)):
                group.fields[path] = begun

    def _leaves(self, prefix: Path, event: Event) -> list[tuple[Path, Any]]:
        """Values that are merged as a whole, by their path."""
        leaves: list[tuple[Path, Any]] = []
        for name, value in event.items():
            path = (*prefix, name)
            if isinstance(value, dict) and value and path not in self._strategies:
                leaves += self._leaves(path, value)
            else:
                leaves.append((path, value))
        return leaves

    def _is_due(self, group: _Group, moment: Moment) -> bool:
        config = self._config
        is_old = (
            config.end_every_period_ms is not None
            and moment.now_ms - group.first_ms >= config.end_every_period_ms
        )
        is_idle = moment.now_ms - group.last_ms >= config.expire_after_ms
        return moment.is_end or is_old or is_idle

    def _let_go(self, key: bytes, outputs: Outputs) -> None:
        group = self._groups.pop(key, None)
        if group is None:
            return
        event: Event = {}
        for path, merge in group.fields.items():
            value = finish(merge)
            if merge[0] == "timestamp_window":
                put_field(event, (*path[:-1], f"{path[-1]}_end"), value[1])
                value = value[0]
            put_field(event, path, value)
        outputs.default.append(event)
        if group.events > 1:
            outputs.discarded["made one with others"] += group.events - 1

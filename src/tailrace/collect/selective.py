"""What `sample` and `throttle` share: events that count apart, and others that do not count at all."""

from collections.abc import Iterator

from typing_extensions import override

from tailrace.collect.condition import Condition, ConditionConfig, condition_problem
from tailrace.collect.stateful import StatefulConfig, StatefulTransform
from tailrace.collect.template import Template, TemplateError
from tailrace.collect.transform import Event


class SelectiveConfig(StatefulConfig):
    """Options of both."""

    exclude: ConditionConfig | None = None
    """Events that this is true of go through, uncounted. Unset: none do."""

    @override
    def problems(self, timezone: str) -> list[tuple[str, str]]:
        problem = condition_problem(self.exclude, timezone) if self.exclude is not None else None
        return [("exclude", problem)] if problem else []


class SelectiveTransform(StatefulTransform):
    """A running one, whose groups have the names that the template `group` gives."""

    def __init__(self, config: SelectiveConfig, group: str | None, timezone: str) -> None:
        self._group = Template(group) if group else None
        self._exclude = Condition(config.exclude, timezone) if config.exclude is not None else None

    def judged(self, events: list[Event]) -> Iterator[tuple[Event, bool]]:
        """Each event, and whether it goes through uncounted."""
        excluded = self._exclude.run(events) if self._exclude else [False] * len(events)
        for event, answer in zip(events, excluded, strict=True):
            yield event, answer is True

    def group_of(self, event: Event) -> str:
        """Name of an event's group; empty where there is but one, or a field is missing."""
        if self._group is None:
            return ""
        try:
            return self._group.fill(event)
        except TemplateError:
            return ""

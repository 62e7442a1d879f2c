"""Runs the tests that a configuration contains, as `vector test` does.

An event goes in at a transform and flows through everything behind it; sources and sinks take no
part. Each condition of an output must be true of at least one of its events.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import orjson

from tailrace.clock import utc_now
from tailrace.collect.condition import Condition, ConditionConfig
from tailrace.collect.config.model import Config
from tailrace.collect.config.unit_tests import EventInput, ExpectedOutput, UnitTest
from tailrace.collect.metric_event import read_metric
from tailrace.collect.stateful import StatefulTransform
from tailrace.collect.transform import (
    Event,
    Outputs,
    Timestamp,
    Transform,
    TransformContext,
    as_json,
)
from tailrace.collect.vrl import Failure, Program


@dataclass
class TestResult:
    """How one test went; `errors` is empty where it passed."""

    __test__ = False

    name: str
    errors: list[str] = field(default_factory=list)


def run_tests(config: Config) -> Iterator[TestResult]:
    """Run all tests, one after the other."""
    transforms = {name: _built(config, name) for name in config.order}
    for test in config.tests:
        # No test remembers another's events.
        fresh = {
            name: _built(config, name)
            for name, transform in transforms.items()
            if isinstance(transform, StatefulTransform)
        }
        yield TestResult(test.name, list(_errors(test, config, {**transforms, **fresh})))


def _built(config: Config, name: str) -> Transform:
    transform = config.transforms[name]
    # Every output is taken here: a test may look at one that the pipeline leaves alone.
    return transform.build(TransformContext(name, config.timezone, transform.named_outputs()))


def _errors(test: UnitTest, config: Config, transforms: dict[str, Transform]) -> Iterator[str]:
    waiting: defaultdict[str, list[Event]] = defaultdict(list)
    for given in test.all_inputs():
        made = _event(given, config.timezone)
        if isinstance(made, Failure):
            yield f'cannot make the event for "{given.insert_at}": {made.message}'
            return
        waiting[given.insert_at].append(made)
    outputs = _flow(waiting, config, transforms)
    for expected in test.outputs:
        yield from _unmet(expected, outputs, config.timezone)
    for name in test.no_outputs_from:
        if outputs[name]:
            yield f'expected no events from "{name}", but there are:\n{_listed(outputs[name])}'


def _event(given: EventInput, timezone: str) -> Event | Failure:
    if given.type == "metric":
        return read_metric(given.metric or {})
    now = Timestamp(utc_now().isoformat().replace("+00:00", "Z"))
    if given.type == "vrl":
        result = Program(given.source or "", timezone=timezone).run([{}])[0]
        return result if isinstance(result, dict | Failure) else {"message": result}
    event: Event = {"message": given.value or "", "timestamp": now}
    for path, value in (given.log_fields or {}).items():
        _insert(event, path.removeprefix(".").split("."), value)
    return event


def _insert(event: Event, path: list[str], value: object) -> None:
    *tables, last = path
    for name in tables:
        inner = event.get(name)
        event[name] = event = inner if isinstance(inner, dict) else {}
    event[last] = value


def _flow(
    waiting: defaultdict[str, list[Event]], config: Config, transforms: dict[str, Transform]
) -> defaultdict[str, list[Event]]:
    """The events of every output, by its name."""
    outputs: defaultdict[str, list[Event]] = defaultdict(list)
    for name in config.order:
        for taken in config.transforms[name].inputs:
            waiting[name].extend(outputs[taken])
        if waiting[name]:
            for output, events in _named(name, transforms[name].run(waiting[name])):
                outputs[output].extend(events)
    return outputs


def _named(name: str, outputs: Outputs) -> Iterable[tuple[str, list[Event]]]:
    return [(name, outputs.default), *((f"{name}.{n}", e) for n, e in outputs.named.items())]


def _unmet(
    expected: ExpectedOutput, outputs: defaultdict[str, list[Event]], timezone: str
) -> Iterator[str]:
    names = ", ".join(f'"{name}"' for name in expected.outputs())
    events = [event for name in expected.outputs() for event in outputs[name]]
    count = expected.expected_event_count
    if count is not None and len(events) != count:
        yield f"expected {count} events from {names}, but there are {len(events)}"
    if not events and expected.conditions:
        yield f"no events from {names}"
        return
    failed = [
        f"  condition[{number}]: {reason}"
        for number, condition in enumerate(expected.conditions)
        if (reason := _reason_against(condition, events, timezone))
    ]
    if failed:
        yield "\n".join([f"events from {names} do not pass:", *failed, _listed(events)])


def _reason_against(condition: ConditionConfig, events: list[Event], timezone: str) -> str | None:
    answers = Condition(condition, timezone).run(events)
    if True in answers:
        return None
    last = answers[-1]
    return last.message if isinstance(last, Failure) else "it is false"


def _listed(events: list[Event]) -> str:
    shown = "\n".join(
        f"    {orjson.dumps(orjson.loads(as_json(event)), option=orjson.OPT_SORT_KEYS).decode()}"
        for event in events[:10]
    )
    more = len(events) - 10
    return f"{shown}\n    and {more} more" if more > 0 else shown

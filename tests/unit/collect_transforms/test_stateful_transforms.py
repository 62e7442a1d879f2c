"""`dedupe`, `sample`, `throttle` and `reduce`, one event after the other."""

import pickle
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from tailrace.collect.stateful import Moment, StatefulConfig, StatefulTransform
from tailrace.collect.transform import Event, Outputs, Timestamp, TransformContext
from tailrace.collect.transforms import TRANSFORMS

Made = Callable[..., StatefulTransform]


def made(kind: str, **options: Any) -> StatefulTransform:
    config = TRANSFORMS[kind].model_validate({"type": kind, "inputs": ["in"], **options})
    assert isinstance(config, StatefulConfig)
    assert config.problems("UTC") == []
    transform = config.build(TransformContext("t", "UTC"))
    assert isinstance(transform, StatefulTransform)
    return transform


def given(transform: StatefulTransform, *events: Event, at_ms: int = 0) -> list[Event]:
    """What comes out; what goes in is not changed."""
    before = pickle.dumps(events)
    outputs = transform.run_at(list(events), Moment(at_ms))
    assert pickle.dumps(events) == before
    assert outputs.rejected == []
    return outputs.default


def ns(*numbers: int) -> list[Event]:
    return [{"n": number} for number in numbers]


# dedupe


def test_the_same_event_goes_through_once() -> None:
    dedupe = made("dedupe", fields={"match": ["n"]})
    assert given(dedupe, *ns(1, 2, 1, 3, 2)) == ns(1, 2, 3)
    assert given(dedupe, *ns(3, 4)) == ns(4)


def test_values_of_other_types_differ() -> None:
    dedupe = made("dedupe", fields={"match": ["n"]})
    events: list[Event] = [{"n": 1}, {"n": "1"}, {"n": True}, {"n": 1.0}, {"n": [1]}, {"m": 1}]
    assert given(dedupe, *events) == events


def test_by_default_time_host_and_message_count() -> None:
    dedupe = made("dedupe")
    first = {"timestamp": Timestamp("2026-01-01T00:00:00Z"), "host": "h", "message": "m", "x": 1}
    assert given(dedupe, first, {**first, "x": 2}, {**first, "host": "g"}) == [
        first,
        {**first, "host": "g"},
    ]


def test_all_but_the_ignored_fields_count() -> None:
    dedupe = made("dedupe", fields={"ignore": ["id", "a.id"]})
    events: list[Event] = [
        {"id": 1, "a": {"id": 1, "b": 1}, "c": 1},
        {"c": 1, "id": 2, "a": {"b": 1, "id": 2}},
        {"id": 1, "a": {"id": 1, "b": 2}, "c": 1},
    ]
    assert given(dedupe, *events) == [events[0], events[2]]


def test_only_the_newest_are_remembered() -> None:
    dedupe = made("dedupe", fields={"match": ["n"]}, cache={"num_events": 2})
    assert given(dedupe, *ns(1, 2, 1, 3, 2, 1)) == ns(1, 2, 3, 2, 1)


def test_what_is_old_may_come_again() -> None:
    dedupe = made("dedupe", fields={"match": ["n"]}, time_settings={"max_age_ms": 100})
    assert [len(given(dedupe, *ns(1), at_ms=at)) for at in (0, 60, 99, 100)] == [1, 0, 0, 1]
    refreshed = made(
        "dedupe",
        fields={"match": ["n"]},
        time_settings={"max_age_ms": 100, "refresh_on_drop": True},
    )
    assert [len(given(refreshed, *ns(1), at_ms=at)) for at in (0, 60, 159, 258, 358)] == [
        1,
        0,
        0,
        0,
        1,
    ]


# sample


def test_one_of_so_many_goes_through() -> None:
    sample = made("sample", rate=3)
    out = given(sample, *ns(*range(4))) + given(sample, *ns(*range(4, 10)))
    assert out == [{"n": n, "sample_rate": "3"} for n in (0, 3, 6, 9)]


def test_a_share_goes_through() -> None:
    sample = made("sample", ratio=0.25, sample_rate_key="")
    assert given(sample, *ns(*range(8))) == ns(0, 4)


def test_events_of_one_key_go_together() -> None:
    sample = made("sample", rate=4, key_field="user")
    users = [f"user {number}" for number in range(2000)]
    first = {event["user"] for event in given(sample, *({"user": user} for user in users))}
    again = {event["user"] for event in given(sample, *({"user": user} for user in users))}
    assert first == again
    assert 400 < len(first) < 600


def test_groups_are_counted_apart() -> None:
    sample = made("sample", rate=2, group_by="{{ g }}", sample_rate_key="")
    events: list[Event] = [{"g": "a"}, {"g": "b"}, {"g": "a"}, {"x": 1}, {"x": 2}]
    assert given(sample, *events) == [{"g": "a"}, {"g": "b"}, {"x": 1}]


def test_what_is_excluded_goes_through_uncounted() -> None:
    sample = made("sample", rate=2, exclude='.keep == "yes"')
    events: list[Event] = [{"keep": "yes", "n": 0}, {"n": 1}, {"n": 2}, {"keep": "yes", "n": 3}]
    assert [event["n"] for event in given(sample, *events)] == [0, 1, 3]


# throttle


def test_a_burst_goes_through_and_then_one_each_interval() -> None:
    throttle = made("throttle", threshold=5, window_secs=1)
    counts = [len(given(throttle, *ns(*range(8)), at_ms=at)) for at in (0, 199, 200, 400, 3000)]
    assert counts == [5, 0, 1, 1, 5]


def test_keys_are_counted_apart() -> None:
    throttle = made("throttle", threshold=1, window_secs=10, key_field="{{ host }}")
    events: list[Event] = [{"host": "a"}, {"host": "b"}, {"host": "a"}, {}, {}]
    assert given(throttle, *events) == [{"host": "a"}, {"host": "b"}, {}]


def test_excluded_events_are_never_throttled() -> None:
    throttle = made("throttle", threshold=1, window_secs=10, exclude=".n == 0")
    assert given(throttle, *ns(0, 1, 0, 2, 0)) == ns(0, 1, 0, 0)


def test_throttled_events_are_counted_by_key_where_asked() -> None:
    throttle = made(
        "throttle",
        threshold=1,
        window_secs=10,
        key_field="{{ n }}",
        internal_metrics={"emit_events_discarded_per_key": True},
    )
    outputs = throttle.run_at(ns(1, 1, 2, 1), Moment(0))
    assert outputs.discarded == {"rate limited: 1": 2}


# reduce


def end_of(transform: StatefulTransform) -> Outputs:
    return transform.run_at([], Moment(0, is_end=True))


def test_events_of_a_group_become_one() -> None:
    reduce = made("reduce", group_by=["id"], ends_when=".end == true")
    events: list[Event] = [
        {"id": 1, "text": "a", "ms": 5, "who": {"name": "x", "n": 1}},
        {"id": 2, "text": "b", "ms": 7},
        {"id": 1, "text": "c", "ms": 1.5, "who": {"n": 2}, "late": True},
        {"id": 1, "end": True},
    ]
    assert given(reduce, *events) == [
        {
            "id": 3,
            "text": "a",
            "ms": 6.5,
            "who": {"name": "x", "n": 3},
            "late": True,
            "end": True,
        }
    ]
    assert reduce.held == 1
    outputs = end_of(reduce)
    assert outputs.default == [events[1]]
    assert reduce.held == 0


def test_merged_events_are_counted() -> None:
    reduce = made("reduce")
    outputs = reduce.run(ns(1, 2, 3))
    assert outputs.default == ns(6)
    assert outputs.discarded == {"made one with others": 2}


def test_timestamps_become_a_window() -> None:
    reduce = made("reduce")
    times = [Timestamp(f"2026-01-01T00:00:0{second}Z") for second in range(3)]
    out = reduce.run([{"timestamp": time} for time in times]).default
    assert out == [{"timestamp": times[0], "timestamp_end": times[2]}]
    assert all(isinstance(value, Timestamp) for value in out[0].values())


@pytest.mark.parametrize(
    ("strategy", "values", "expected"),
    [
        ("array", [1, [2], None], [1, [2], None]),
        ("concat", ["a", "b"], "a b"),
        ("concat", [["a"], ["b"], "c"], ["a", "b", "c"]),
        ("concat_newline", ["a", "b"], "a\nb"),
        ("concat_raw", ["a", "b"], "ab"),
        ("discard", [1, 2], 1),
        ("retain", [1, 2, None], 2),
        ("sum", [1, 2.5, "x"], 3.5),
        ("max", [1, 3, 2, "9"], 3),
        ("min", [2, 1, 3], 1),
        ("flat_unique", [1, [2, 1], {"a": 3}, 2], [1, 2, 3]),
        ("longest_array", [[1], [1, 2], [3]], [1, 2]),
        ("shortest_array", [[1, 2], [1], [3]], [1]),
    ],
)
def test_strategies(strategy: str, values: list[Any], expected: Any) -> None:
    reduce = made("reduce", merge_strategies={"a.v": strategy})
    assert reduce.run([{"a": {"v": value}} for value in values]).default == [{"a": {"v": expected}}]


def test_the_first_event_of_the_next_group_ends_one() -> None:
    reduce = made(
        "reduce",
        starts_when='starts_with(string!(.message), "[")',
        merge_strategies={"message": "concat_newline"},
    )
    events: list[Event] = [{"message": text} for text in ("[1] x", " at a", " at b", "[2] y")]
    assert given(reduce, *events) == [{"message": "[1] x\n at a\n at b"}]
    assert end_of(reduce).default == [{"message": "[2] y"}]


@pytest.mark.parametrize("most", [1, 2, 3])
def test_a_group_has_no_more_than_so_many_events(most: int) -> None:
    reduce = made("reduce", max_events=most, merge_strategies={"n": "array"})
    out = given(reduce, *ns(*range(6)))
    assert [len(event["n"]) for event in out] == [most] * (6 // most)


def test_groups_end_when_nothing_comes_or_when_they_are_old() -> None:
    idle = made("reduce", expire_after_ms=100)
    given(idle, *ns(1), at_ms=0)
    given(idle, *ns(1), at_ms=99)
    assert given(idle, at_ms=198) == []
    assert given(idle, at_ms=199) == ns(2)
    old = made("reduce", expire_after_ms=100, end_every_period_ms=150)
    given(old, *ns(1), at_ms=0)
    assert given(old, *ns(1), at_ms=99) == []
    assert given(old, *ns(1), at_ms=150) == ns(3)


def test_a_condition_that_fails_is_an_error_and_counts_as_no() -> None:
    reduce = made("reduce", ends_when="int!(.n) > 1")
    outputs = reduce.run_at([{"n": "x"}, {"n": 2}], Moment(0))
    assert outputs.errors == 1
    assert outputs.default == [{"n": "x"}]


# all of them

EVENTS: list[Event] = [
    {"message": f"m {n % 7}", "host": "h", "n": n % 11, "nested": {"k": [n % 3]}} for n in range(60)
]
EXAMPLES: dict[str, dict[str, Any]] = {
    "dedupe": {},
    "sample": {"ratio": 0.3},
    "throttle": {"threshold": 7, "window_secs": 0.5, "key_field": "{{ message }}"},
    "reduce": {"group_by": ["message"], "max_events": 4, "expire_after_ms": 1000},
}


def test_every_transform_that_remembers_is_held_to_this() -> None:
    stateful = {name for name, kind in TRANSFORMS.items() if issubclass(kind, StatefulConfig)}
    assert EXAMPLES.keys() == stateful


@pytest.mark.parametrize("kind", EXAMPLES)
@pytest.mark.parametrize("size", [1, 7, 60])
def test_a_new_process_goes_on_as_the_old_one_would(kind: str, size: int) -> None:
    def pieces() -> list[tuple[list[Event], int]]:
        return [(EVENTS[first : first + size], first * 20) for first in range(0, 60, size)]

    one = made(kind, **EXAMPLES[kind])
    expected = [one.run_at(list(part), Moment(at)) for part, at in pieces()]
    state = pickle.dumps(made(kind, **EXAMPLES[kind]).state())
    found = []
    for part, at in pieces():
        another = made(kind, **EXAMPLES[kind])
        another.restore(pickle.loads(state))  # noqa: S301  # made three lines above
        found.append(another.run_at(list(part), Moment(at)))
        state = pickle.dumps(another.state())
    assert found == expected


@pytest.mark.parametrize("kind", EXAMPLES)
def test_every_event_is_accounted_for(kind: str) -> None:
    transform = made(kind, **EXAMPLES[kind])
    outputs = transform.run_at(EVENTS, Moment(0))
    assert len(outputs.default) + outputs.discarded.total() + transform.held == len(EVENTS)


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("dedupe", {"fields": {"match": ["a"], "ignore": ["b"]}}, "exactly one"),
        ("dedupe", {"cache": {"num_events": 0}}, "num_events"),
        ("sample", {}, "exactly one"),
        ("sample", {"rate": 2, "ratio": 0.5}, "exactly one"),
        ("sample", {"ratio": 1.5}, "ratio"),
        ("throttle", {"threshold": 1}, "window_secs"),
        ("throttle", {"threshold": 1, "window_secs": 1, "key_field": "{{ }}"}, "cannot read"),
        ("reduce", {"starts_when": "true", "ends_when": "true"}, "only one"),
        ("reduce", {"merge_strategies": {"a": "average"}}, "merge_strategies"),
    ],
)
def test_wrong_options_are_said(kind: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        made(kind, **options)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("sample", {"rate": 2, "exclude": "nonsense("}),
        ("throttle", {"threshold": 1, "window_secs": 1, "exclude": ".a = 1"}),
        ("reduce", {"ends_when": ".a"}),
    ],
)
def test_wrong_programs_are_found_before_anything_runs(kind: str, options: dict[str, Any]) -> None:
    config = TRANSFORMS[kind].model_validate({"type": kind, "inputs": ["in"], **options})
    assert len(config.problems("UTC")) == 1

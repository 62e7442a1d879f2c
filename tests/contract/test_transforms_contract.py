"""Every transform of the registry: what `tailrace.collect.transform` promises of it."""

import pickle
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tailrace.collect.component import Options
from tailrace.collect.stateful import StatefulTransform
from tailrace.collect.transform import (
    Event,
    Outputs,
    Timestamp,
    Transform,
    TransformConfig,
    TransformContext,
)
from tailrace.collect.transforms import TRANSFORMS

OPTIONS: dict[str, dict[str, Any]] = {
    "dedupe": {"fields": {"match": ["n"]}},
    "exclusive_route": {"routes": [{"name": "even", "condition": "mod(int!(.n), 2) == 0"}]},
    "filter": {"condition": "mod(int!(.n), 2) == 0"},
    "log_to_metric": {
        "metrics": [
            {
                **{"type": "counter", "field": "n", "increment_by_value": True},
                "tags": {"message": "{{ message }}", "at": "{{ at }}"},
            }
        ]
    },
    "metric_to_log": {},
    "reduce": {"group_by": ["n"], "max_events": 3},
    "remap": {"source": ".n = int!(.n) + 1", "drop_on_error": True},
    "route": {"route": {"even": "mod(int!(.n), 2) == 0"}},
    "sample": {"rate": 3},
    "throttle": {"threshold": 3, "window_secs": 1},
}
"""Options of each; programs that fail for an event whose `n` is no number."""

values = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.text(max_size=5),
    st.booleans(),
    st.none(),
    st.just(Timestamp("2026-01-02T03:04:05Z")),
    st.lists(st.integers(0, 3), max_size=2),
    st.dictionaries(st.sampled_from(["a", "b"]), st.integers(0, 3), max_size=2),
)
events = st.dictionaries(
    st.sampled_from(["n", "message", "host", "timestamp", "x"]), values, max_size=4
)


def made(kind: str) -> tuple[TransformConfig, Transform]:
    config = TRANSFORMS[kind].model_validate({"type": kind, "inputs": ["in"], **OPTIONS[kind]})
    assert config.problems("UTC") == []
    return config, config.build(TransformContext("t", "UTC", config.named_outputs()))


def everything(outputs: Outputs) -> int:
    """How many events a batch has become, wherever they are."""
    named = sum(map(len, outputs.named.values()))
    return len(outputs.default) + named + len(outputs.rejected) + outputs.discarded.total()


def without_times(events: list[Event]) -> list[Event]:
    """Metrics of logs without a time have that at which they were made."""
    return [
        {name: value for name, value in event.items() if name != "timestamp"} for event in events
    ]


def test_every_transform_is_held_to_the_contract() -> None:
    assert OPTIONS.keys() == TRANSFORMS.keys()


@pytest.mark.parametrize("kind", sorted(TRANSFORMS))
def test_events_are_left_alone_and_all_of_them_are_somewhere(kind: str) -> None:
    config, transform = made(kind)

    @settings(max_examples=40, deadline=None)
    @given(st.lists(events, max_size=12))
    def holds(batch: list[Event]) -> None:
        before = pickle.dumps(batch)
        held = transform.held if isinstance(transform, StatefulTransform) else 0
        outputs = transform.run(batch)
        assert pickle.dumps(batch) == before
        assert everything(outputs) == len(batch) + held
        assert outputs.named.keys() <= config.named_outputs()
        assert config.has_default_output() or not outputs.default
        for event in [*outputs.default, *(e for part in outputs.named.values() for e in part)]:
            orjson.dumps(event)

    holds()


@pytest.mark.parametrize("kind", sorted(TRANSFORMS))
def test_neighbours_of_a_bad_event_are_not_touched(kind: str) -> None:
    _, transform = made(kind)
    good: list[Event] = [{"n": number, "message": str(number)} for number in range(8)]
    alone = transform.run([dict(event) for event in good])
    _, another = made(kind)
    mixed = another.run([*good[:4], {"n": ["no number"], "message": "bad"}, *good[4:]])
    extra = everything(mixed) - everything(alone)
    assert extra == 1
    if kind not in ("sample", "throttle"):  # these count: what comes between counts, too
        kept = [event for event in mixed.default if event.get("message") != "bad"]
        assert without_times(kept) == without_times(alone.default)


@pytest.mark.parametrize("kind", sorted(TRANSFORMS))
def test_events_come_out_in_order(kind: str) -> None:
    _, transform = made(kind)
    outputs = transform.run([{"n": number, "at": str(number)} for number in range(20)])
    for part in (outputs.default, *outputs.named.values()):
        places = [int(event.get("tags", event)["at"]) for event in part]
        assert places == sorted(places)


@pytest.mark.parametrize("kind", sorted(TRANSFORMS))
def test_an_unknown_option_is_refused_by_name(kind: str) -> None:
    given_options = {"type": kind, "inputs": ["in"], **OPTIONS[kind], "no_such_option": 1}
    with pytest.raises(ValidationError) as refused:
        TRANSFORMS[kind].model_validate(given_options)
    assert ("no_such_option",) in [error["loc"] for error in refused.value.errors()]


@pytest.mark.parametrize("kind", sorted(TRANSFORMS))
def test_options_are_strict_and_each_is_explained(kind: str) -> None:
    model: type[Options] = TRANSFORMS[kind]
    assert model.model_config.get("extra") == "forbid"
    assert model.model_config.get("frozen")
    for name, information in model.model_fields.items():
        assert information.description, f"{kind}.{name}"


@pytest.mark.parametrize("kind", sorted(TRANSFORMS))
def test_configurations_travel_to_workers(kind: str) -> None:
    config, _ = made(kind)
    assert pickle.loads(pickle.dumps(config)) == config  # noqa: S301  # our own

"""Metrics that go through both transforms, and what the sink says of their distributions."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tailrace.collect.sinks.influxdb_metrics.encode import MetricEncoder
from tailrace.collect.transform import Event, Timestamp, TransformContext
from tailrace.collect.transforms import TRANSFORMS

TIME = Timestamp("2026-01-02T03:04:05.000000001Z")
KINDS = {"counter": "incremental"}
numbers = st.floats(allow_nan=False, allow_infinity=False)
counts = st.integers(0, 2**63)
totals = {"count": counts, "sum": numbers}
values = st.one_of(
    st.tuples(st.sampled_from(["counter", "gauge"]), st.fixed_dictionaries({"value": numbers})),
    st.tuples(
        st.just("set"),
        st.fixed_dictionaries({"values": st.sets(st.text(max_size=3), max_size=3).map(sorted)}),
    ),
    st.tuples(
        st.just("distribution"),
        st.fixed_dictionaries(
            {
                "samples": st.lists(st.fixed_dictionaries({"value": numbers, "rate": counts})),
                "statistic": st.sampled_from(["histogram", "summary"]),
            }
        ),
    ),
    st.tuples(
        st.just("aggregated_histogram"),
        st.fixed_dictionaries(
            {
                "buckets": st.lists(
                    st.fixed_dictionaries({"upper_limit": numbers, "count": counts}), max_size=3
                ),
                **totals,
            }
        ),
    ),
    st.tuples(
        st.just("aggregated_summary"),
        st.fixed_dictionaries(
            {
                "quantiles": st.lists(
                    st.fixed_dictionaries({"quantile": numbers, "value": numbers}), max_size=3
                ),
                **totals,
            }
        ),
    ),
)
tags = st.dictionaries(st.sampled_from(["a", "b", "c d"]), st.text(max_size=5))
names = st.text(max_size=5)


def metric(name: str, namespace: str, tags: dict[str, str], value: tuple[str, Any]) -> Event:
    parts = {"namespace": namespace, "tags": tags}
    return {
        "name": name,
        **{part: content for part, content in parts.items() if content},
        **{"timestamp": TIME, "kind": KINDS.get(value[0], "absolute"), value[0]: value[1]},
    }


def through(kind: str, event: Event, **options: Any) -> list[Event]:
    config = TRANSFORMS[kind].model_validate({"type": kind, "inputs": ["in"], **options})
    outputs = config.build(TransformContext("t", "UTC")).run([event])
    assert outputs.rejected == []
    return outputs.default


@given(st.builds(metric, names, names, tags, values))
def test_a_metric_that_becomes_a_log_becomes_the_same_metric(given_metric: Event) -> None:
    [log] = through("metric_to_log", given_metric)
    assert through("log_to_metric", log, all_metrics=True) == [given_metric]


@given(st.builds(metric, names, names, tags, values))
def test_every_metric_is_a_point_in_one_line(given_metric: Event) -> None:
    point = MetricEncoder("ns", {}, (0.5,), "u").encode([given_metric])[4:].decode()
    assert "\n" not in point
    assert point.endswith(f" {1_767_323_045_000_000_001}")
    assert "metric_type=" in point


@given(
    st.lists(st.tuples(st.integers(-9, 9), st.integers(0, 4)), min_size=1),
    st.lists(st.sampled_from([0.0, 0.25, 0.5, 0.9, 1.0]), unique=True),
)
def test_a_distribution_is_what_its_samples_are_one_by_one(
    samples: list[tuple[int, int]], quantiles: list[float]
) -> None:
    value = {
        "samples": [{"value": float(value), "rate": rate} for value, rate in samples],
        "statistic": "summary",
    }
    encoder = MetricEncoder(None, {}, tuple(quantiles), "u")
    point = encoder.encode([metric("m", "", {}, ("distribution", value))])[4:].decode()
    fields = dict(pair.split("=") for pair in point.split(" ")[1].split(","))
    each = sorted(value for value, rate in samples for _ in range(rate))
    assert int(fields["count"]) == len(each)
    assert float(fields["sum"]) == sum(each)
    if not each:
        return
    assert (float(fields["min"]), float(fields["max"])) == (each[0], each[-1])
    for quantile in [*quantiles, 0.5]:
        # The nearest rank, counted from 1; there is none before the first.
        rank = max(1, int(quantile * len(each) + 0.5))
        name = f"quantile_{quantile:.2f}"
        assert float(fields.get(name, fields["median"])) == each[rank - 1]

"""Wildcards, owners and the order of transforms."""

import pytest

from tailrace.collect.config.graph import expand, order_of, owner

OUTPUTS = ["in_a", "in_b", "parse", "parse.dropped", "route.x", "route._unmatched"]


@pytest.mark.parametrize(
    ("patterns", "component", "expected"),
    [
        (["in_a"], "t", ["in_a"]),
        (["in_*"], "t", ["in_a", "in_b"]),
        (["in_*", "in_a"], "t", ["in_a", "in_b"]),
        (["*"], "parse", ["in_a", "in_b", "route.x", "route._unmatched"]),
        (["route.*"], "t", ["route.x", "route._unmatched"]),
        (["in_?"], "t", ["in_a", "in_b"]),
        (["none*", "parse"], "t", ["none*", "parse"]),
    ],
)
def test_expand(patterns: list[str], component: str, expected: list[str]) -> None:
    assert expand(patterns, OUTPUTS, component) == expected


def test_order() -> None:
    order, cycle = order_of({"c": ["b.dropped", "x"], "b": ["a"], "a": ["in"]})
    assert (order, cycle) == (["a", "b", "c"], [])


def test_a_circle_is_named() -> None:
    order, cycle = order_of({"a": ["c"], "b": ["a"], "c": ["b.dropped"]})
    assert order == []
    assert cycle[0] == cycle[-1]
    assert set(cycle) == {"a", "b", "c"}


def test_owner() -> None:
    assert owner("parse.dropped", {"parse"}) == "parse"
    assert owner("parse", {"parse"}) == "parse"

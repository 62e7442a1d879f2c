"""What transforms make of events: `components/transforms/*.yaml`.

Besides what `golden_cases` says: `in` are events, or `steps` batches with the time of arrival
(`at_ms`), the last perhaps with `end`; `out` is the default output, `outputs` are the others.
Times in events without quotes are timestamps, in quotes they are text.
"""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tailrace.collect.stateful import Moment, StatefulTransform
from tailrace.collect.transform import Event, Outputs, Transform, TransformContext
from tests.golden.vector.golden_cases import (
    Case,
    as_parameters,
    assert_like,
    assert_refused,
    cases_of,
    filled,
    load_component,
)


@dataclass
class Sums:
    """What all steps together have made."""

    out: list[Event] = field(default_factory=list)
    outputs: dict[str, list[Event]] = field(default_factory=dict)
    rejected: list[list[str]] = field(default_factory=list)
    discarded: dict[str, int] = field(default_factory=dict)
    errors: int = 0

    def add(self, made: Outputs) -> None:
        self.out += made.default
        for name, events in made.named.items():
            self.outputs.setdefault(name, []).extend(events)
        self.rejected += [[raw.decode(), reason] for raw, reason in made.rejected]
        self.discarded = dict(Counter(self.discarded) + made.discarded)
        self.errors += made.errors


@pytest.mark.parametrize("case", as_parameters(cases_of("transforms")))
def test_transform_case(case: Case, tmp_path: Path) -> None:
    for name, text in case.data.get("files", {}).items():
        (tmp_path / name).write_text(text)
    if case.is_refused:
        assert_refused(case, tmp_path)
        return
    config = load_component(case, tmp_path)
    transform = config.transforms["it"]
    running = transform.build(
        TransformContext("it", config.timezone, transform.named_outputs(), typed_output=True)
    )
    sums = Sums()
    for step in filled(case.data.get("steps", [{"events": case.data.get("in", [])}]), tmp_path):
        sums.add(_run(running, step, is_only="steps" not in case.data))
    expected = filled(case.data, tmp_path)
    for name, nothing in (("out", []), ("outputs", {}), ("rejected", []), ("discarded", {})):
        assert_like(expected.get(name, nothing), getattr(sums, name))
    assert sums.errors == expected.get("errors", 0)


def _run(transform: Transform, step: dict[str, Any], *, is_only: bool) -> Outputs:
    events = step.get("events", [])
    if isinstance(transform, StatefulTransform) and not is_only:
        return transform.run_at(events, Moment(step["at_ms"], step.get("end", False)))
    return transform.run(events)

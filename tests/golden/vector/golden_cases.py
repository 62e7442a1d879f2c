"""What the golden cases of components share: their files, how they are loaded, how events compare.

`components/<kind>s/<type>.yaml` is a list of cases for one component. A case has a sentence
(`case`), the component's `options` without `type` and `inputs`, what goes in, and what must come
out; or `refused`: everything that is said of the options. In what is expected, a text that ends in
`…` stands for every text that begins so (alone, for anything), `~` begins a regular expression, and `{dir}` is a folder
of the case's own. The fields `timestamp` and `source_type` that a source adds may be left out.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from tailrace.collect.component import METRICS
from tailrace.collect.config import Config, installed_components
from tailrace.collect.config.load import load_with
from tailrace.collect.transform import Event, Timestamp
from tailrace.errors import ConfigurationError

FOLDER = Path(__file__).parent / "components"
ARRIVAL_MS = 1_764_000_000_000
"""When everything arrives."""
ARRIVAL = "2025-11-24T16:00:00.000Z"
"""The same, as an event has it."""

KEYS = {
    "sources": {"send", "events", "rejected", "answers", "env", "any_order"},
    "transforms": {
        "in",
        "steps",
        "out",
        "outputs",
        "rejected",
        "discarded",
        "errors",
        "timezone",
        "files",
    },
    "sinks": {"events", "batches", "files", "stdout", "stderr", "requests", "answers", "rejected"}
    | {"waits", "has", "columns", "said", "at"},
}
"""What a case may hold besides `case`, `options`, `options_of` and `refused`."""


@dataclass(frozen=True)
class Case:
    """One case of one component."""

    section: str
    kind: str
    number: int
    data: dict[str, Any]

    @property
    def options(self) -> dict[str, Any]:
        """The component's options."""
        found: dict[str, Any] = self.data.get("options", {})
        return found

    @property
    def is_refused(self) -> bool:
        """Whether it is about what is said of wrong options."""
        return "refused" in self.data


def cases_of(section: str) -> list[Case]:
    """All cases of a kind of components; raises where one has a key that nobody looks at."""
    found = []
    for path in sorted((FOLDER / section).glob("*.yaml")):
        for number, data in enumerate(yaml.safe_load(path.read_text()), 1):
            unknown = data.keys() - KEYS[section] - {"case", "options", "refused"}
            assert not unknown, f"{path.name}, case {number}: {unknown}"
            found.append(Case(section, path.stem, number, data))
    return found


def as_parameters(cases: list[Case]) -> list[Any]:
    """For `pytest.mark.parametrize`."""
    return [pytest.param(case, id=f"{case.kind}-{case.number}") for case in cases]


def filled(value: Any, folder: Path) -> Any:
    """`value` with the case's folder in the place of `{dir}`, and times as timestamps."""
    if isinstance(value, str):
        return value.replace("{dir}", str(folder))
    if isinstance(value, datetime):
        return as_event_time(value)
    if isinstance(value, dict):
        return {filled(name, folder): filled(item, folder) for name, item in value.items()}
    if isinstance(value, list):
        return [filled(item, folder) for item in value]
    return value


def as_event_time(moment: datetime) -> Timestamp:
    """A time that YAML has read, as an event has it."""
    in_utc = moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    precision = "seconds" if not in_utc.microsecond else "auto"
    if in_utc.microsecond and in_utc.microsecond % 1000 == 0:
        precision = "milliseconds"
    return Timestamp(in_utc.isoformat(timespec=precision).replace("+00:00", "Z"))


def load_component(case: Case, folder: Path) -> Config:
    """The case's component in the smallest pipeline, through every check of a real file."""
    component = {"type": case.kind, **filled(case.options, folder)}
    inputs = ["in"]
    if case.section == "sources":
        name = "in"
        inputs = ["in.logs"] if case.kind == "opentelemetry" else ["in"]
        pipeline: dict[str, Any] = {"sources": {"in": component}}
    else:
        name = "it"
        pipeline = {"sources": {"in": {"type": "stdin"}}}
        taken = taken_by(case, pipeline, "in")
        pipeline.setdefault(case.section, {})["it"] = {"inputs": [taken], **component}
    pipeline.setdefault("sinks", {"out": {"type": "blackhole", "inputs": inputs}})
    if "timezone" in case.data:
        pipeline["timezone"] = case.data["timezone"]
    path = folder / "vector.yaml"
    path.write_text(yaml.safe_dump(pipeline, sort_keys=False))
    try:
        return load_with(installed_components(), [path])
    except ConfigurationError as error:
        beginning = re.compile(rf"{re.escape(str(path))}:\d+: {case.section}\.{name}(?:\.|: )")
        raise RefusedOptions([beginning.sub("", problem) for problem in error.problems]) from error


def taken_by(case: Case, pipeline: dict[str, Any], source: str) -> str:
    """What the case's component takes: the source's logs, or metrics that are made of them."""
    if getattr(installed_components(), case.section)[case.kind].takes != METRICS:
        return source
    of_logs = {"type": "log_to_metric", "inputs": [source], "all_metrics": True}
    pipeline.setdefault("transforms", {})["metrics"] = of_logs
    return "metrics"


class RefusedOptions(Exception):
    """What is said of a case's options."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def assert_refused(case: Case, folder: Path) -> None:
    """Hold what is said of wrong options against the case."""
    with pytest.raises(RefusedOptions) as caught:
        load_component(case, folder)
    assert_like(filled(case.data["refused"], folder), caught.value.problems)


def assert_like(expected: Any, found: Any) -> None:
    """Hold what was found against what is expected; what differs is said in the cases' own form."""
    as_expected = fitted(expected, found)
    if as_expected != expected:
        pytest.fail(f"expected:\n{_dump(expected)}\nfound:\n{_dump(as_expected)}", pytrace=False)


def _dump(value: Any) -> str:
    return "\n".join(map(repr, value)) if isinstance(value, list) else repr(value)


def fitted_all(expected: list[Any], found: list[Any]) -> Iterator[Any]:
    """What was found, each as `fitted` gives it, and what is left over."""
    for index, each in enumerate(found):
        yield fitted(expected[index], each) if index < len(expected) else each


def fitted(expected: Any, found: Any) -> Any:
    """`expected` where `found` is as it says; else `found`, so that a difference shows."""
    if expected == "…":
        return expected
    if isinstance(expected, str) and isinstance(found, str | int | float):
        if expected.endswith("…") and str(found).startswith(expected.removesuffix("…")):
            return expected
        if expected.startswith("~") and re.fullmatch(expected[1:], str(found), re.DOTALL):
            return expected
    if isinstance(expected, dict) and isinstance(found, dict):
        return {name: fitted(expected.get(name), item) for name, item in found.items()}
    if isinstance(expected, list) and isinstance(found, list):
        return [*fitted_all(expected, found)]
    if isinstance(expected, Timestamp) and not isinstance(found, Timestamp):
        return found, "is no timestamp"
    return found


def without_added(expected: list[Event], found: list[Event], source_type: str) -> list[Event]:
    """The events without what every source adds, where the case does not speak of it."""
    added = {"timestamp": ARRIVAL, "source_type": source_type}
    return [
        {
            name: value
            for name, value in event.items()
            if not (
                index < len(expected) and name not in expected[index] and added.get(name) == value
            )
        }
        for index, event in enumerate(found)
    ]

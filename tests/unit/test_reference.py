"""The reference documentation says what the code does: it is written from it, and complete."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import Counter
from pydantic import BaseModel

from scripts.reference.components import component_models
from scripts.reference.metrics import collectors, registries
from scripts.reference.options import models_in
from scripts.reference.pages import FOLDER, PAGES
from tailrace.collect.condition import VrlCondition
from tailrace.collect.config.globals import Globals
from tailrace.collect.config.unit_tests import UnitTest
from tailrace.collect.options import Decoding
from tailrace.settings import Settings

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_what_the_code_says(name: str) -> None:
    written = (FOLDER / name).read_text("utf-8")
    assert written == PAGES[name](), (
        f"docs/reference/{name} is old: run `python -m scripts.reference`"
    )


def test_no_page_is_left_over() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {*PAGES}


def test_the_readme_leads_there() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    for name in PAGES:
        assert f"docs/reference/{name}" in readme


@pytest.mark.parametrize(
    "model", [*component_models(), Globals, UnitTest, Settings], ids=lambda model: model.__module__
)
def test_every_option_is_explained(model: type[BaseModel]) -> None:
    for table in _tables(model):
        for name, field in table.model_fields.items():
            if name == "type" and field.default is not None:
                continue  # the component's name, which its heading has
            text = field.description or ""
            assert len(text) > 3, f"{table.__name__}.{name} has no docstring"
            assert text.rstrip().endswith((".", ")", "…")), f"{table.__name__}.{name}: {text!r}"
            says_unset = field.default is not None or "unset" in text.lower()
            assert says_unset or model in (Globals, UnitTest, Settings), f"{table.__name__}.{name}"


@pytest.mark.parametrize(
    "model", [*component_models(), Globals, Decoding], ids=lambda model: model.__module__
)
def test_what_is_not_taken_has_a_reason_and_is_no_option(model: type[BaseModel]) -> None:
    for table in _tables(model):
        # What all components of a kind refuse, one of them may have.
        inherited = {name for base in table.__mro__[1:] for name in getattr(base, "not_taken", {})}
        own = {k: v for k, v in getattr(table, "not_taken", {}).items() if k not in inherited}
        assert not set(own) & {field.alias or name for name, field in table.model_fields.items()}
        assert all(reason and reason[-1] != "." for reason in own.values())


def _tables(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    yield model
    for field in model.model_fields.values():
        for nested in models_in(field.annotation):
            yield from _tables(nested)


def test_conditions_are_explained() -> None:
    assert all(field.description for field in VrlCondition.model_fields.values())


def test_every_metric_is_in_its_page() -> None:
    page = (FOLDER / "metrics.md").read_text("utf-8")
    for process, registry in registries().items():
        for one in collectors(registry):
            name = f"{one._name}_total" if isinstance(one, Counter) else one._name
            assert f"| `{name}` | {one._type} |" in page, f"{process}: {name}"
            assert one._documentation[0].isupper()


def test_metrics_are_made_in_three_places_only() -> None:
    makers = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "src").rglob("*.py")
        if re.search(r"\b(Counter|Gauge|Histogram)\(\s*\"", path.read_text("utf-8"))
    }
    assert makers == {
        "src/tailrace/collect/metrics.py",
        "src/tailrace/engine/metrics.py",
        "src/tailrace/web/metrics.py",
    }

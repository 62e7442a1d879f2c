"""One configuration in YAML, TOML and JSON, whole or in several files, is one and the same."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tailrace.collect.config import Config, installed_components
from tailrace.collect.config.load import load_with
from tests.golden.vector.golden_cases import FOLDER, Case, cases_of, filled, taken_by

MOST_CASES = 12
"""Of each component: programs are compiled four times."""

SECTIONS = ("sources", "transforms", "sinks")


def pipeline_of(cases: list[Case], folder: Path) -> dict[str, Any]:
    """All accepted options of a component, as many components of one file."""
    pipeline: dict[str, Any] = {"sources": {"lines": {"type": "stdin"}}, "sinks": {}}
    for case in cases:
        component = {"type": case.kind, **filled(case.options, folder)}
        if case.section != "sources":
            component["inputs"] = [taken_by(case, pipeline, "lines")]
        pipeline.setdefault(case.section, {})[f"it_{case.number}"] = component
    pipeline["sinks"].setdefault("out", {"type": "blackhole", "inputs": ["lines"]})
    pipeline["timezone"] = "Europe/Oslo"
    return pipeline


def as_toml(value: Any) -> str:
    """A value in TOML, in one line; what JSON writes of texts and numbers is TOML as well."""
    if isinstance(value, dict):
        items = [f"{json.dumps(str(key))} = {as_toml(item)}" for key, item in value.items()]
        return "{ " + ", ".join(items) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(as_toml, value)) + "]"
    return json.dumps(value).replace("\x7f", "\\u007f")


def has_null(value: Any) -> bool:
    """Whether TOML cannot say it."""
    if isinstance(value, dict | list):
        return any(map(has_null, value.values() if isinstance(value, dict) else value))
    return value is None


def as_toml_file(table: dict[str, Any]) -> str:
    lines: list[str] = []
    for section, content in table.items():
        if isinstance(content, dict):
            for name, component in content.items():
                lines.append(f"[{section}.{json.dumps(name)}]")
                lines += [f"{json.dumps(key)} = {as_toml(item)}" for key, item in component.items()]
        else:
            lines.insert(0, f"{section} = {as_toml(content)}")
    return "\n".join(lines) + "\n"


def loaded(folder: Path, files: dict[str, str]) -> Config:
    paths = []
    for name, text in files.items():
        (folder / name).write_text(text)
        paths.append(folder / name)
    return load_with(installed_components(), paths)


def what_counts(config: Config) -> tuple[Any, ...]:
    return (
        config.sources,
        config.transforms,
        config.sinks,
        config.order,
        config.timezone,
        config.tests,
    )


@pytest.mark.parametrize(
    ("section", "kind"),
    [
        pytest.param(section, path.stem, id=f"{section}-{path.stem}")
        for section in SECTIONS
        for path in sorted((FOLDER / section).glob("*.yaml"))
    ],
)
def test_formats_agree(section: str, kind: str, tmp_path: Path) -> None:
    for name in ("one.vrl", "two.vrl", "program.vrl"):
        (tmp_path / name).write_text("x = 1\n")
    cases = [
        case
        for case in cases_of(section)
        if case.kind == kind and not case.is_refused and not has_null(case.options)
    ]
    pipeline = pipeline_of(cases[:MOST_CASES], tmp_path)
    in_yaml = what_counts(loaded(tmp_path, {"all.yaml": yaml.safe_dump(pipeline, sort_keys=False)}))
    assert what_counts(loaded(tmp_path, {"all.json": json.dumps(pipeline)})) == in_yaml
    assert what_counts(loaded(tmp_path, {"all.toml": as_toml_file(pipeline)})) == in_yaml
    parts = {
        f"{name}.{ending}": {name: pipeline[name]}
        for name, ending in (("sources", "json"), ("transforms", "yaml"), ("sinks", "toml"))
        if name in pipeline
    }
    texts = {
        name: as_toml_file(part) if name.endswith(".toml") else json.dumps(part)
        for name, part in parts.items()
    }
    rest = {"global.toml": 'timezone = "Europe/Oslo"\n'}
    assert what_counts(loaded(tmp_path, {**texts, **rest})) == in_yaml

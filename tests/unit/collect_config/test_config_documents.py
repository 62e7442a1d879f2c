"""Files are parsed as Vector parses them, and every option knows its line."""

from pathlib import Path

import pytest

from tailrace.collect.config.document import DocumentError, parse
from tailrace.collect.config.interpolate import interpolate


def test_yaml_lines() -> None:
    document = parse(Path("v.yaml"), "sinks:\n  out:\n    inputs:\n      - a\n      - b\n")
    assert document.data == {"sinks": {"out": {"inputs": ["a", "b"]}}}
    assert document.line_of(("sinks", "out", "inputs", 1)) == 5
    assert document.line_of(("sinks", "out", "missing", "deep")) == 2
    assert document.line_of(("sources",)) is None


def test_toml_lines() -> None:
    text = (
        '# comment\n[sinks.out]\ninputs = ["a"]\n  batch.max_bytes = 1\n'
        '[[tests]]\nname = "one"\n[[tests]]\nname = "two"\n[[tests.inputs]]\nvalue = "x"\n'
    )
    document = parse(Path("v.toml"), text)
    assert document.line_of(("sinks", "out", "batch", "max_bytes")) == 4
    assert document.line_of(("tests", 1, "name")) == 8
    assert document.line_of(("sinks", "out", "table")) == 2


def test_json_lines_in_spite_of_tabs() -> None:
    document = parse(Path("v.json"), '{\n\t"sinks": {\n\t\t"out": {"a": "x\\ty"}\n\t}\n}')
    assert document.data == {"sinks": {"out": {"a": "x\ty"}}}
    assert document.line_of(("sinks", "out", "a")) == 3


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"),
        ("off", "off"),
        ("12:30:45", "12:30:45"),
        ("2026-01-01", "2026-01-01"),
        ("0123", 123),
        ("0x1F", 31),
        ("0o17", 15),
        ("1e3", 1000.0),
        ("1_000", "1_000"),
        ("~", None),
        ("", None),
        ("true", True),
        (".5", 0.5),
        ("'1'", "1"),
    ],
)
def test_yaml_scalars_are_those_of_1_2(text: str, value: object) -> None:
    found = parse(Path("v.yaml"), f"a: {text}").data["a"]
    assert found == value
    assert type(found) is type(value)


def test_yaml_anchors_and_merge_keys() -> None:
    text = "a: &a {x: 1, y: 2}\nb:\n  <<: *a\n  y: 3\nc: *a\n"
    assert parse(Path("v.yaml"), text).data == {
        "a": {"x": 1, "y": 2},
        "b": {"x": 1, "y": 3},
        "c": {"x": 1, "y": 2},
    }


@pytest.mark.parametrize(
    ("name", "text", "line", "message"),
    [
        ("v.yaml", "a: 1\nb: [", 2, "not YAML"),
        ("v.yaml", "a: !!python/object:os.system {}", 1, "not YAML: could not determine"),
        ("v.yaml", "a:\n  x: 1\n  x: 2", 3, '"x" stands here a second time; first on line 2'),
        ("v.yaml", "a: " + "[" * 5000 + "]" * 5000, None, "nested too deeply"),
        ("v.yaml", "b: 1\na: \x01", 2, "not YAML"),
        ("v.yaml", "--- a\n--- b", 2, "not YAML"),
        ("v.toml", "a = 1\na = 2\nb = 3", 2, "not TOML"),
        ("v.json", '{"a": 1,\n "a": 2}', None, '"a" stands twice in one table'),
        ("v.json", "[" * 100_000, None, "nested too deeply"),
        ("v.txt", "", None, "cannot tell the format by the name"),
        ("v.yaml", "just text", 1, "cannot use this file"),
    ],
)
def test_files_that_are_not_well_formed(
    name: str, text: str, line: int | None, message: str
) -> None:
    with pytest.raises(DocumentError) as caught:
        parse(Path(name), text)
    assert str(caught.value).startswith(message)
    assert caught.value.line == line


def test_an_empty_file_says_nothing() -> None:
    assert parse(Path("v.yaml"), "# only a comment\n").data == {}


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("$A ${A} $$A $$${A}", "1 1 $A $1"),
        ("${E:-x} ${E-x} ${NO:-x} ${NO-x} ${NO:-}", "x  x x "),
        ("${A:?no} ${A?no} ${E?no}", "1 1 "),
        ("100% $ {A} $", "100% $ {A} $"),
        ("${NO:-a b/c:d}", "a b/c:d"),
    ],
)
def test_variables(text: str, result: str) -> None:
    problems: list[tuple[int, str]] = []
    found = interpolate(text, {"A": "1", "E": ""}, lambda *problem: problems.append(problem))
    assert found == result
    assert problems == []


def test_what_is_wrong_with_variables_has_its_line() -> None:
    problems: list[tuple[int, str]] = []
    interpolate(
        "$NO\n${NO:?why}\n${E:?why}\n${N}",
        {"E": "", "N": "a\nb: evil"},
        lambda *problem: problems.append(problem),
    )
    assert problems == [
        (1, "cannot find the environment variable NO; set it, or write ${NO:-default}"),
        (2, "cannot find the environment variable NO: why"),
        (3, "cannot find the environment variable E: why"),
        (4, "cannot use the environment variable N: its value has a line break"),
    ]

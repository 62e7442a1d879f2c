"""One configuration file, parsed: its values and the line on which each stands.

YAML is read by the rules of YAML 1.2, as Vector's parser does: `off` and `yes` are text, and
`12:30` is no number. A key given twice is an error in all three formats.
"""

import json
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tailrace.collect.config.problem import Place

FORMATS = {".yaml": "yaml", ".yml": "yaml", ".toml": "toml", ".json": "json"}


class DocumentError(Exception):
    """A file that is not even well-formed."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True)
class Document:
    """A file's values, and its lines by place (1-based)."""

    path: Path
    data: dict[str, Any]
    lines: dict[Place, int] = field(default_factory=dict)

    def line_of(self, place: Place) -> int | None:
        """Line of an option, or of the nearest table around it."""
        for length in range(len(place), 0, -1):
            line = self.lines.get(place[:length])
            if line is not None:
                return line
        return None


def parse(path: Path, text: str) -> Document:
    """Parse a file's text by its ending; raises DocumentError."""
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        raise DocumentError(f"cannot tell the format by the name: end it in {', '.join(FORMATS)}")
    try:
        data, lines = _PARSERS[kind](text)
    except RecursionError as error:
        raise DocumentError("nested too deeply") from error
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise DocumentError("cannot use this file: it must hold a table of sections", 1)
    return Document(path, data, lines)


class _Loader(yaml.SafeLoader):
    """YAML 1.2's core schema."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}


for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    (
        "float",
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.nan",
        list("-+.0123456789"),
    ),
    ("merge", r"<<", ["<"]),
):
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), _first
    )


def _construct_int(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    text = str(loader.construct_scalar(node))
    return int(text, 0) if text.startswith(("0o", "0x")) else int(text)


_Loader.add_constructor("tag:yaml.org,2002:int", _construct_int)


def _parse_yaml(text: str) -> tuple[Any, dict[Place, int]]:
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        if root is None:
            return {}, {}
        lines: dict[Place, int] = {}
        _walk(root, (), lines)
        return loader.construct_document(root), lines
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise DocumentError(
            f"not YAML: {error.problem}", mark.line + 1 if mark else None
        ) from error
    except (yaml.YAMLError, ValueError) as error:
        raise DocumentError(f"not YAML: {error}") from error


def _walk(node: yaml.Node, place: Place, lines: dict[Place, int]) -> None:
    """Note the line of each key and each list item; refuse a key that stands twice."""
    if isinstance(node, yaml.MappingNode):
        for key_node, value_node in node.value:
            inner = (*place, str(key_node.value))
            if inner in lines and key_node.tag != "tag:yaml.org,2002:merge":
                raise DocumentError(
                    f'"{key_node.value}" stands here a second time; first on line {lines[inner]}',
                    key_node.start_mark.line + 1,
                )
            lines[inner] = key_node.start_mark.line + 1
            _walk(value_node, inner, lines)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            lines[(*place, index)] = item.start_mark.line + 1
            _walk(item, (*place, index), lines)


_TOML_TABLE = re.compile(r"^\s*(\[\[?)\s*([^\]]+?)\s*\]\]?\s*(?:#.*)?$")
_TOML_KEY = re.compile(r"""^\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"))*)\s*=""")
_TOML_PLACE = re.compile(r"\(at line (\d+), column \d+\)")


def _parse_toml(text: str) -> tuple[Any, dict[Place, int]]:
    try:
        return tomllib.loads(text), _toml_lines(text)
    except tomllib.TOMLDecodeError as error:
        found = _TOML_PLACE.search(str(error))
        line = int(found[1]) if found else None
        raise DocumentError(f"not TOML: {_TOML_PLACE.sub('', str(error)).strip()}", line) from error


def _toml_lines(text: str) -> dict[Place, int]:
    """Lines of tables and keys, by looking for them: text in several lines may mislead it."""
    lines: dict[Place, int] = {}
    table: Place = ()
    counts: dict[Place, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if header := _TOML_TABLE.match(line):
            table = _toml_key(header[2])
            if header[1] == "[[":
                counts[table] = counts.get(table, -1) + 1
                table = (*table, counts[table])
            for length in range(1, len(table) + 1):
                lines.setdefault(table[:length], number)
        elif key := _TOML_KEY.match(line):
            lines.setdefault((*table, *_toml_key(key[1])), number)
    return lines


def _toml_key(text: str) -> Place:
    parts = re.findall(r"""[\w-]+|"[^"]*"|'[^']*'""", text)
    return tuple(part.strip("\"'") for part in parts)


def _parse_json(text: str) -> tuple[Any, dict[Place, int]]:
    try:
        data = json.loads(text, object_pairs_hook=_without_twins)
    except json.JSONDecodeError as error:
        raise DocumentError(f"not JSON: {error.msg}", error.lineno) from error
    # JSON is YAML but for tabs in the indentation; what the lines are good for forgives that.
    _, lines = _parse_yaml(text.replace("\t", " "))
    return data, lines


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        names = [name for name, _ in pairs]
        twin = next(name for name in names if names.count(name) > 1)
        raise DocumentError(f'"{twin}" stands twice in one table')
    return table


_PARSERS = {"yaml": _parse_yaml, "toml": _parse_toml, "json": _parse_json}

"""Reads YAML by the rules of version 1.2, as Vector's parser does: `off` and `yes` are text, and `12:30`
is no number.

Guarantees:
- Every key and every item of a list has its line. A key that stands twice is an error.
- What aliases unfold to is counted before it is made: a few hundred bytes never become gigabytes.
- Whatever the text is, there are values or a YamlError.
"""

import re
from itertools import count
from typing import Any, Final

import yaml

Place = tuple[str | int, ...]
"""Way from the root of a file to a value, e.g. `("sinks", "clickhouse", "table")`."""

MOST_VALUES: Final = 100_000
"""Keys and items of one file, those behind aliases each time that they stand for."""


class YamlError(Exception):
    """A text that is no YAML, or none that is taken; `line` counts from 1."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


def parse_yaml(text: str) -> tuple[Any, dict[Place, int]]:
    """The values of a text, and the lines of its keys and items. Raises YamlError."""
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        if root is None:
            return None, {}
        lines: dict[Place, int] = {}
        _walk(root, (), lines, count(1))
        return loader.construct_document(root), lines
    except RecursionError as error:
        raise YamlError("nested too deeply, or within itself") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise YamlError(f"not YAML: {error.problem}", mark.line + 1 if mark else None) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        character = f"the character {chr(error.character)!a}"
        raise YamlError(f"not YAML: {character} must not stand here", line) from error
    # The last three: a value that is not what its tag says, as in `!!bool maybe`.
    except (yaml.YAMLError, ValueError, KeyError, AttributeError) as error:
        raise YamlError(f"not YAML: {error}") from error


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


def _walk(node: yaml.Node, place: Place, lines: dict[Place, int], counter: "count[int]") -> None:
    """Note the line of each key and each list item; refuse a key that stands twice."""
    if isinstance(node, yaml.MappingNode):
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise YamlError("a key must be text", line)
            inner = (*place, str(key_node.value))
            if inner in lines and key_node.tag != "tag:yaml.org,2002:merge":
                raise YamlError(
                    f'"{key_node.value}" stands here a second time; first on line {lines[inner]}',
                    line,
                )
            _note(inner, line, lines, counter)
            _walk(value_node, inner, lines, counter)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _note((*place, index), item.start_mark.line + 1, lines, counter)
            _walk(item, (*place, index), lines, counter)


def _note(place: Place, line: int, lines: dict[Place, int], counter: "count[int]") -> None:
    if next(counter) > MOST_VALUES:
        raise YamlError(f"more than {MOST_VALUES} values, those behind aliases counted", line)
    lines[place] = line

"""One configuration file, parsed: its values and the line on which each stands.

A key given twice is an error in all three formats.
"""

import json
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tailrace.yaml_text import Place, YamlError, parse_yaml

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
    except YamlError as error:
        raise DocumentError(str(error), error.line) from error
    except RecursionError as error:
        raise DocumentError("nested too deeply") from error
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise DocumentError("cannot use this file: it must hold a table of sections", 1)
    return Document(path, data, lines)


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
    _, lines = parse_yaml(text.replace("\t", " "))
    return data, lines


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        names = [name for name, _ in pairs]
        twin = next(name for name in names if names.count(name) > 1)
        raise DocumentError(f'"{twin}" stands twice in one table')
    return table


_PARSERS = {"yaml": parse_yaml, "toml": _parse_toml, "json": _parse_json}

"""Reads the YAML files that describe a pack, `pack.yaml` and `dashboard.yaml`.

What a person wrote wrong, in whatever way, is one ConfigurationError with everything that is wrong,
each with its file, its line and what to do.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar

from pydantic import BaseModel, ValidationError

from tailrace.errors import ConfigurationError
from tailrace.yaml_text import Place, YamlError, parse_yaml

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class Description:
    """A file's table, and the line of each place in it."""

    path: Path
    said: dict[str, Any]
    lines: Mapping[Place, int] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Self:
        """The file's table; ConfigurationError where there is none."""
        try:
            said, lines = parse_yaml(path.read_text("utf-8"))
        except OSError as error:
            raise ConfigurationError(f"cannot read {path}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            line = error.object.count(b"\n", 0, error.start) + 1
            raise ConfigurationError(
                f"cannot read {_at(path, line)}: it is not UTF-8. Save it as UTF-8"
            ) from error
        except YamlError as error:
            raise ConfigurationError(f"cannot read {_at(path, error.line)}: {error}") from error
        if not isinstance(said, dict):
            what = "empty" if said is None else f"{str(said)[:40]!r}"
            raise ConfigurationError(
                f"cannot use {path}: it is {what}, and must be a table of keys, as `title: Mine`"
            )
        return cls(path, {str(key): value for key, value in said.items()}, lines)

    def as_model(self, model: type[M], manual: str, **beside: object) -> M:
        """What it says, checked; `manual` is the page that lists the keys, `beside` is not said."""
        twice = sorted(beside.keys() & self.said.keys())
        if twice:
            raise self.wrong((twice[0],), f"there is no such key: {manual} lists them")
        try:
            return model.model_validate({**self.said, **beside})
        except ValidationError as error:
            found = error.errors(include_url=False, include_input=False)
            wrong = {item["loc"][:-1] for item in found}
            problems = [
                self.problem(item["loc"], _reason(item["type"], item["msg"], manual))
                for item in found
                # A list whose items are wrong has none left: that is no problem of its own.
                if item["type"] != "too_short"
                or not any(place[: len(item["loc"])] == item["loc"] for place in wrong)
            ]
            raise ConfigurationError(*dict.fromkeys(problems)) from error

    def wrong(self, place: Place, reason: str) -> ConfigurationError:
        """An error about one place."""
        return ConfigurationError(self.problem(place, reason))

    def problem(self, place: Place, reason: str) -> str:
        """`cannot use FILE:7: panels.2 'Errors'.kind: …`; the title is that of a list's item."""
        parts: list[str] = []
        found: Any = self.said
        for part in place:
            found = _inner(found, part)
            title = (
                found.get("title") if isinstance(part, int) and isinstance(found, dict) else None
            )
            parts.append(f"{part} {str(title)[:60]!r}" if title else str(part))
        named = f"{'.'.join(parts)}: " if parts else ""
        return f"cannot use {_at(self.path, self._line(place))}: {named}{reason}"

    def _line(self, place: Place) -> int | None:
        """The line of a place, or of what is nearest around it."""
        for length in range(len(place), 0, -1):
            if (line := self.lines.get(place[:length])) is not None:
                return line
        return None


def _at(path: Path, line: int | None) -> str:
    return f"{path}:{line}" if line else str(path)


def _inner(found: Any, part: str | int) -> Any:
    if isinstance(found, dict):
        return found.get(part)
    if isinstance(found, list) and isinstance(part, int) and part < len(found):
        return found[part]
    return None


def _reason(kind: str, message: str, manual: str) -> str:
    """What pydantic says, in the words of those who write the file."""
    match kind:
        case "extra_forbidden":
            return f"there is no such key: {manual} lists them"
        case "missing":
            return f"is missing: {manual} says what it is"
        case "value_error":
            return message.removeprefix("Value error, ")
        case "too_short":
            return "is empty: give at least one"
        case "tuple_type":
            return "must be a list, as `[one, two]`"
        case "dict_type" | "model_type":
            return "must be a table of keys"
        case "string_type":
            return "must be text: put what looks like a number or a list between quotes"
        case _:
            said = message.replace("Input should be", "must be").replace("String should", "must")
            return said[:1].lower() + said[1:]

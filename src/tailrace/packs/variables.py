"""What a person may set for one pack, by the names that its kind of data always had.

`pack.yaml` lists them under `variables`. Its other entries use them beside the fields of Settings:
`settings` puts them into the pipeline, `demo` and `entrance` name them as `{name}`, and one with an
`option` stands for that option of `tailrace generate`.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from math import isfinite
from string import Formatter
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from tailrace.errors import UsageError

Value = str | int | float | None
Values = dict[str, Value]
Option = Literal["to", "count", "rate", "seed", "batch_size", "interval"]


def _read_text(text: str) -> str:
    if not text:
        raise ValueError("it is empty")
    return text


def _read_number(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise ValueError("it has no end")
    return number


_READERS: Mapping[str, Callable[[str], int | float | str]] = {
    "text": _read_text,
    "address": _read_text,
    "integer": int,
    "number": _read_number,
}


class Variable(BaseModel):
    """One name in the environment, and what it means."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    environment: str = Field(pattern=r"^[A-Z][A-Z0-9_]*$")
    """The environment variable that sets it."""

    help: str
    """What it sets, for people: the size of a batch."""

    default: Value = None
    """Its value where the environment has none; text may hold `{fields}` of Settings and variables that
    are listed before it."""

    type: Literal["text", "address", "integer", "number"] = "text"
    """What it must be; an `address` (HOST:PORT) is one that the pack's pipeline listens on."""

    at_least: float | None = None
    """The least that a number may be."""

    option: Option | None = None
    """The option of `tailrace generate` that it stands for; the option itself beats it."""

    def wrong_default(self, known: Collection[str]) -> Iterator[str]:
        """What keeps the default from being used; `known` is what it may hold."""
        kinds = {"integer": int, "number": int | float}
        if self.default is None:
            return
        if not isinstance(self.default, kinds.get(self.type, str)):
            yield f"{self.default!r} is no {self.type}, as `type` says"
        elif isinstance(self.default, str):
            yield from wrong_fields(self.default, known)

    def read(self, known: Mapping[str, object], environment: Mapping[str, str]) -> Value:
        """Its value; `known` is what its default may hold. UsageError for one that cannot be."""
        text = environment.get(self.environment)
        if text is None:
            return self.default.format(**known) if isinstance(self.default, str) else self.default
        try:
            value = _READERS[self.type](text)
        except ValueError as error:
            why = f"it is no {self.type}" if text else "it is empty"
            raise UsageError(
                f"cannot use {self.environment}={text!r}: {why}, and sets {self.help}"
            ) from error
        if self.at_least is not None and not isinstance(value, str) and value < self.at_least:
            raise UsageError(
                f"cannot use {self.environment}={text!r}: it must be at least {self.at_least:g}, and "
                f"sets {self.help}"
            )
        return value


def wrong_fields(text: str, known: Collection[str]) -> Iterator[str]:
    """What keeps a text with `{fields}` from being filled in; nothing where all of them are known."""
    try:
        fields = list(Formatter().parse(text))
    except ValueError as error:
        yield f"{text!r} has a bracket alone: {error}. Write {{{{ and }}}} for brackets that stay"
        return
    for _, name, form, conversion in fields:
        if name is not None and (name not in known or form or conversion):
            yield f"{{{name}}} is no setting, and no variable that is listed before"

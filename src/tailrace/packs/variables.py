"""What a person may set for one pack, by the names that its kind of data always had.

`pack.yaml` lists them under `variables`. Its other entries use them beside the fields of Settings:
`settings` puts them into the pipeline, `demo` and `entrance` name them as `{name}`, and one with an
`option` stands for that option of `tailrace generate`.
"""

from collections.abc import Callable, Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from tailrace.errors import UsageError
from tailrace.settings import Settings

Value = str | int | float | None
Values = dict[str, Value]
Option = Literal["to", "count", "rate", "seed", "batch_size", "interval"]


_READERS: Mapping[str, Callable[[str], Value]] = {"text": str, "integer": int, "number": float}


class Variable(BaseModel):
    """One name in the environment, and what it means."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    environment: str = Field(pattern=r"^[A-Z][A-Z0-9_]*$")
    """The environment variable that sets it."""

    help: str
    """What it sets, for people: the size of a batch."""

    default: Value = None
    """Its value where the environment has none; text may hold `{fields}` of Settings."""

    type: Literal["text", "integer", "number"] = "text"
    """What it must be."""

    option: Option | None = None
    """The option of `tailrace generate` that it stands for; the option itself beats it."""

    def read(self, settings: Settings, environment: Mapping[str, str]) -> Value:
        """Its value; UsageError for one that is not of its type."""
        text = environment.get(self.environment)
        if text is None:
            default = self.default
            return default.format(**dict(settings)) if isinstance(default, str) else default
        try:
            return _READERS[self.type](text)
        except ValueError as error:
            raise UsageError(
                f"cannot use {self.environment}={text!r}: it is no {self.type}, and sets {self.help}"
            ) from error

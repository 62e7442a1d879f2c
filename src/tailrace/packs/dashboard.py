"""What a pack's `dashboard.yaml` says: panels, each a question in SQL and how to show its answer.

docs/dashboards.md describes the form for those who write one. A file is read whole or refused whole,
with every problem named; whether its SQL runs is only known when it does.
"""

import re
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tailrace.packs.description import Description

FILE_NAME = "dashboard.yaml"
MANUAL = "docs/dashboards.md"

Kind = Literal["time_series", "bar", "table", "value"]
Width = Literal["quarter", "third", "half", "full"]

_NOT_A_WORD = re.compile(r"\W+")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


class _Said(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Panel(_Said):
    """One question and how its answer is shown."""

    title: str = Field(min_length=1)
    """What people read above it; also, in small letters, its name in addresses."""

    kind: Kind
    """time_series: lines or bars over time; bar: a bar for each name; table; value: one number."""

    sql: str = Field(min_length=1)
    """The question, read-only. `{from:DateTime64(3)}`, `{to:DateTime64(3)}` and `{step:UInt32}`
    (seconds a step) are the time that is shown. A time series begins with the time; then comes
    either one number for each series, or a name and a number. A bar has a name and a number, a
    value one number, a table whatever it likes."""

    unit: str = ""
    """What the numbers count, printed beside them; `ms`, `s`, `bytes` and `%` are also scaled."""

    units: dict[str, str] = {}
    """For a table: a column and the unit of its numbers."""

    description: str = ""
    """A line under the title."""

    width: Width = "half"
    """How much of a wide page it takes."""

    draw: Literal["lines", "bars"] = "lines"
    """How a time series is drawn; bars are stacked."""

    fill: Literal["zero", "gap"] = "gap"
    """What a step of a time series without a row is: nothing known, or none counted."""

    link: str = ""
    """Where a value leads, a path of these pages: `{column}` is its row's, `{from}` and `{to}` are
    the range's. In double quotes it is written as the search language quotes it."""

    @property
    def name(self) -> str:
        """How addresses call it."""
        return _NOT_A_WORD.sub("-", self.title.lower()).strip("-")

    @model_validator(mode="after")
    def _fits_together(self) -> "Panel":
        if not self.name:
            raise ValueError("title needs a letter or a digit")
        if self.units and self.kind != "table":
            raise ValueError("units are for a table: give the unit")
        if self.kind != "time_series" and {"draw", "fill"} & self.model_fields_set:
            raise ValueError("draw and fill are for a time_series")
        if self.link and (self.link[0] != "/" or self.link[1:2] in ("/", "\\")):
            raise ValueError("link must be a path of these pages, such as /?source={source}")
        return self


class Dashboard(_Said):
    """A page of panels about one pack's data."""

    title: str = Field(min_length=1)
    """The page's heading."""

    description: str = ""
    """A line for the list of dashboards."""

    range: str = "1h"
    """What is shown at first, as the time chooser has it: 15m, 1h, 24h, 7d …"""

    panels: tuple[Panel, ...] = Field(min_length=1)
    """The panels, in the order of reading."""

    @model_validator(mode="after")
    def _has_a_name_for_each(self) -> "Dashboard":
        names = [panel.name for panel in self.panels]
        twice = next((panel for panel in self.panels if names.count(panel.name) > 1), None)
        if twice is not None:
            raise ValueError(f"two panels have the title {twice.title!r}")
        return self

    def panel(self, name: str) -> Panel | None:
        """The panel that addresses call so."""
        return next((panel for panel in self.panels if panel.name == name), None)


def read_dashboard(path: Path) -> Dashboard:
    """The dashboard of a file; ConfigurationError with each thing that is wrong with it."""
    return Description.read(path).as_model(Dashboard, MANUAL)


def placeholders(link: str) -> list[str]:
    """The names in curly brackets of a link."""
    return _PLACEHOLDER.findall(link)

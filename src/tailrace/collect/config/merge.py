"""Reads several configuration files into one table that still knows who said what where."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tailrace.collect.config.document import Document, DocumentError, parse
from tailrace.collect.config.interpolate import interpolate
from tailrace.collect.config.problem import Problems
from tailrace.yaml_text import Place

SECTIONS = ("sources", "transforms", "sinks")


class Merged:
    """The files' table, with the problems found so far.

    `data` always has the three sections of components and `tests`, each of the right type. A
    component that stands in two files is a problem, and so are two values for one global option;
    tests add up.
    """

    def __init__(self) -> None:
        self.data: dict[str, Any] = {name: {} for name in SECTIONS} | {"tests": []}
        self.problems = Problems()
        self.lacks_a_file = False
        """Whether one could not be read, so that what is missing may be in it."""
        self._homes: dict[Place, tuple[Document, Place]] = {}
        self._first_path: Path | None = None

    def read(self, path: Path, environment: Mapping[str, str] | None) -> None:
        """Add one file; its text is interpolated where an environment is given."""
        self._first_path = self._first_path or path
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            self.problems.add(path, None, (), f"cannot read the file: {reason}")
            self.lacks_a_file = True
            return
        if environment is not None:
            text = interpolate(
                text, environment, lambda line, what: self.problems.add(path, line, (), what)
            )
        try:
            document = parse(path, text)
        except DocumentError as error:
            self.problems.add(path, error.line, (), str(error))
            self.lacks_a_file = True
            return
        for section, value in document.data.items():
            self._add_section(document, str(section), value)

    def wrong(self, place: Place, message: str) -> None:
        """Note a problem at a place of the merged table."""
        document, local = self._home(place)
        if document is None:
            self.problems.add(self._first_path or Path(), None, place, message)
        else:
            self.problems.add(document.path, document.line_of(local), place, message)

    def described(self, place: Place, message: str) -> str:
        """The same text for what is odd but no problem."""
        collected = Problems()
        problems, self.problems = self.problems, collected
        self.wrong(place, message)
        self.problems = problems
        return str(collected.found[0])

    def _home(self, place: Place) -> tuple[Document | None, Place]:
        for length in (2, 1):
            if place[:length] in self._homes:
                document, local = self._homes[place[:length]]
                return document, (*local, *place[length:])
        return None, place

    def _add_section(self, document: Document, section: str, value: Any) -> None:
        wanted = list if section == "tests" else dict
        self._homes.setdefault((section,), (document, (section,)))
        if section not in self.data:
            self.data[section] = value
        elif value is None:
            return
        elif section in (*SECTIONS, "tests") and not isinstance(value, wanted):
            self._conflict(document, (section,), f"cannot be {value!r}: a table is wanted")
        elif section == "tests":
            for index, test in enumerate(value):
                self._homes["tests", len(self.data["tests"])] = (document, ("tests", index))
                self.data["tests"].append(test)
        elif section in SECTIONS:
            self._add_components(document, section, value)
        elif self.data[section] != value:
            first, local = self._homes[section,]
            said = f"{first.path}:{first.line_of(local)}"
            self._conflict(document, (section,), f"has another value in {said}")

    def _add_components(self, document: Document, section: str, components: dict[Any, Any]) -> None:
        for given_name, options in components.items():
            name = str(given_name)
            place = (section, name)
            if place in self._homes:
                first, local = self._homes[place]
                said = f"{first.path}:{first.line_of(local)}"
                self._conflict(document, place, f"a component of this name is in {said} already")
            else:
                self._homes[place] = (document, place)
                self.data[section][name] = options

    def _conflict(self, document: Document, place: Place, message: str) -> None:
        self.problems.add(document.path, document.line_of(place), place, message)

"""What is wrong with a configuration: all of it, each problem with its place."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

from typing_extensions import override

from tailrace.errors import ConfigurationError
from tailrace.yaml_text import Place


def option_name(place: Place) -> str:
    """A place as people write it: `tests[0].inputs`."""
    name = ""
    for part in place:
        name += f"[{part}]" if isinstance(part, int) else f".{part}" if name else part
    return name


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean "table"?`, or the whole list where no name is near."""
    names = sorted(known)
    near = get_close_matches(word, names, n=1, cutoff=0.6)
    if near:
        return f'; did you mean "{near[0]}"?'
    return f"; known here: {', '.join(names)}" if names else ""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, or odd, and where."""

    path: Path
    line: int | None
    place: Place
    message: str

    @override
    def __str__(self) -> str:
        where = f"{self.path}:{self.line}" if self.line else str(self.path)
        option = option_name(self.place)
        return f"{where}: {option}: {self.message}" if option else f"{where}: {self.message}"


@dataclass
class Problems:
    """Collects problems while the checking goes on."""

    found: list[Problem] = field(default_factory=list)

    def add(self, path: Path, line: int | None, place: Place, message: str) -> None:
        """Remember one, unless the same was found before."""
        problem = Problem(path, line, place, message)
        if problem not in self.found:
            self.found.append(problem)

    def raise_if_any(self) -> None:
        """Raise ConfigurationError with all that were found, by file and line."""
        if self.found:
            raise ConfigurationError(*(str(problem) for problem in self.sorted()))

    def sorted(self) -> list[Problem]:
        """By file, in the order in which files appeared, then by line."""
        files = {
            path: index for index, path in enumerate(dict.fromkeys(p.path for p in self.found))
        }
        return sorted(self.found, key=lambda p: (files[p.path], p.line or 0))

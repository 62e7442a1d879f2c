"""Finds packs and reads what they say of themselves.

A pack is a folder with a `pack.yaml`. The built-in ones are beside this file, a person's own are in
the folder that TAILRACE_PACKS_DIR names; one's own pack takes the place of a built-in one of its
name. Nothing here knows any pack by name.

What is wrong with a pack, in its files or its code, is a ConfigurationError that names the place, and
concerns nobody who did not ask for that pack: `find_usable` gives the others.
"""

import importlib
import os
import re
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

from tailrace.errors import ConfigurationError, TailraceError, UsageError
from tailrace.packs.description import Description
from tailrace.packs.explore import Explore
from tailrace.packs.variables import Values, Variable, wrong_fields
from tailrace.settings import Settings

BUILT_IN = Path(__file__).parent
DESCRIPTION = "pack.yaml"
MANUAL = "docs/packs.md"
# A script that calls sys.exit, taken for a module, must not end the pages.
_FAILURES = (Exception, SystemExit)

_ENTRY = r"^\w+(\.\w+)*:\w+$"
Entry = Annotated[str, Field(pattern=_ENTRY)]
"""`module:name`, something within the pack's own files."""

_TABLE = r"^[A-Za-z_]\w*\.[A-Za-z_]\w*$"
TableName = Annotated[str, Field(pattern=_TABLE)]
"""`database.table`; it is written into SQL."""

ColumnName = Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$")]

Places = Annotated[
    tuple[str, ...], BeforeValidator(lambda said: (said,) if isinstance(said, str) else said)
]
"""Dotted paths into `pipeline.yaml`, one or a list; a number is a place in a list."""


class Pack(BaseModel):
    """One kind of data: what `pack.yaml` says, and the files beside it."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    folder: Path
    """Where the pack lies; not written in `pack.yaml`."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    """How commands call it; the name of its folder."""

    description: str
    """One line for people."""

    table: TableName | None = None
    """The table that people read, `database.table`."""

    explore: Explore | None = None
    """How people search that table; without it, it is not in the explorer."""

    requires: tuple[str, ...] = ()
    """Packs whose tables this one uses as well; `tailrace setup` makes them first."""

    variables: dict[str, Variable] = {}
    """What a person may set for this pack alone, by the name that other entries here use."""

    settings: dict[str, Places] = {}
    """A field of Settings or a variable, and the values of `pipeline.yaml` that it replaces."""

    only_with: dict[str, str] = {}
    """A component of `pipeline.yaml` that is left out where a field of Settings or a variable has no
    value: `sources.mine_kafka: bootstrap_servers`."""

    retention: dict[TableName, ColumnName] = {}
    """A table whose rows are dropped after `retention_days`, and its column with the arrival."""

    routes: Entry | None = None
    """The function that makes the pack's routes (see `tailrace.packs.host`)."""

    generator: Entry | None = None
    """The class that makes events (see `tailrace.packs.generator`)."""

    keys: Entry | None = None
    """The function that says which key and partition an event has where it goes to a queue (see
    `tailrace.packs.generator`)."""

    targets: dict[str, Entry] = {}
    """A scheme of `generate --to`, and what sends there (see `tailrace.packs.sender`)."""

    demo: str = "-"
    """Where a demonstration's events go, as `generate --to` has it: text with `{fields}` of Settings
    and variables, or a function of Settings and the variables' values, `module:name`, which raises
    UsageError where the pack cannot run."""

    entrance: str = ""
    """Where events come in, for people: text or a function, as for `demo`."""

    @property
    def migrations(self) -> list[Path]:
        """The files of `schema/`, in the order of their numbers."""
        return sorted((self.folder / "schema").glob("*.sql"))

    @property
    def pipeline(self) -> Path | None:
        """The Vector configuration that takes this pack's data in."""
        path = self.folder / "pipeline.yaml"
        return path if path.exists() else None

    @property
    def templates(self) -> Path:
        """Where the templates of the pack's pages are, if it has any."""
        return self.folder / "templates"

    @property
    def static(self) -> Path:
        """Where the scripts and styles of those pages are, if it has any."""
        return self.folder / "static"

    @property
    def has_generator(self) -> bool:
        """Whether `tailrace generate` can make events of this pack."""
        return self.generator is not None

    def values(self, settings: Settings, environment: Mapping[str, str] | None = None) -> Values:
        """What the pack's variables are, by name; UsageError for one that cannot be."""
        given = os.environ if environment is None else environment
        found: Values = {}
        for name, variable in self.variables.items():
            found[name] = variable.read({**dict(settings), **found}, given)
        return found

    def own_options(
        self, settings: Settings, environment: Mapping[str, str] | None = None
    ) -> Values:
        """Options of `tailrace generate` that the environment sets by the pack's own names."""
        given = os.environ if environment is None else environment
        values = self.values(settings, given)
        return {
            variable.option: values[name]
            for name, variable in self.variables.items()
            if variable.option and variable.environment in given
        }

    def demo_target(self, settings: Settings) -> str:
        """Where a demonstration's events go; UsageError where the pack cannot run here."""
        return self._text(self.demo, settings)

    def entrance_of(self, settings: Settings) -> str:
        """Where events come in, for people."""
        return self._text(self.entrance, settings)

    def _text(self, said: str, settings: Settings) -> str:
        """What a text with `{fields}` says, or the function that is named in its place."""
        values = self.values(settings)
        if re.match(_ENTRY, said):
            return str(self.call(said, settings, values))
        return said.format(**{**dict(settings), **values})

    def render_pipeline(self, settings: Settings) -> str:
        """`pipeline.yaml` with the values that `settings` give; still a Vector configuration.

        It holds the ClickHouse password when one is set: whoever writes it to a file keeps others
        from reading it.
        """
        if self.pipeline is None:
            raise ConfigurationError(
                f"cannot run a pipeline for the pack {self.name!r}: {self.folder} has no "
                "pipeline.yaml. Leave the pack out, or write one"
            )
        description = Description.read(self.pipeline)
        pipeline = description.said
        values = self.values(settings)
        try:
            for name, places in self.settings.items():
                value = values[name] if name in values else getattr(settings, name)
                if isinstance(value, SecretStr):
                    value = value.get_secret_value()
                for place in places:
                    _put(pipeline, place, value)
            for component, name in self.only_with.items():
                if (values[name] if name in values else getattr(settings, name)) is None:
                    _leave_out(pipeline, component)
        except _NoSuchPlaceError as error:
            raise ConfigurationError(
                f"cannot use {self.folder / DESCRIPTION}: {error} in {self.pipeline}"
            ) from error
        for sink in _tables(pipeline, "sinks").values():
            if isinstance(sink, dict) and isinstance(sink.get("auth"), dict):
                sink["auth"] = {"strategy": "basic", "user": "", "password": "", **sink["auth"]}
        # Whoever is told of a mistake by the lines of what is written here has to find the original.
        origin = f"# Made of {str(self.pipeline)!r}: change that, and check it with `tailrace validate`.\n"
        return origin + yaml.safe_dump(pipeline, sort_keys=False, allow_unicode=True)

    def load(self, entry: str) -> Any:
        """The object that `module:name` names in this pack's folder.

        Raises ConfigurationError where there is none, or where the module cannot be imported.
        """
        module_name, _, attribute = entry.partition(":")
        package = f"tailrace_pack_{self.name}"
        if package not in sys.modules:
            module = ModuleType(package)
            module.__path__ = [str(self.folder)]
            sys.modules[package] = module
        try:
            return getattr(importlib.import_module(f"{package}.{module_name}"), attribute)
        except _FAILURES as error:
            raise ConfigurationError(
                f"cannot load {entry!r} of the pack {self.name!r} in {self.folder}: "
                f"{_what_failed(error, self.folder)}"
            ) from error

    def call(self, entry: str, *arguments: object) -> Any:
        """What the function that `module:name` names gives.

        A TailraceError is its own; any other is a ConfigurationError with its place.
        """
        function = self.load(entry)
        try:
            return function(*arguments)
        except TailraceError:
            raise
        except _FAILURES as error:
            raise ConfigurationError(
                f"cannot call {entry!r} of the pack {self.name!r} in {self.folder}: "
                f"{_what_failed(error, self.folder)}"
            ) from error


def find_packs(settings: Settings, names: Sequence[str] | None = None) -> list[Pack]:
    """The packs of these names, or every pack there is; UsageError for a name that there is not.

    Only those packs are read, and a ConfigurationError tells what is wrong with one of them.
    """
    folders = _folders(settings)
    for name in names or ():
        if name not in folders:
            raise UsageError(f"cannot find a pack {name!r}: there are {', '.join(sorted(folders))}")
    return [read_pack(folders[name]) for name in dict.fromkeys(names or folders)]


def find_usable(settings: Settings) -> tuple[list[Pack], list[ConfigurationError]]:
    """Every pack whose `pack.yaml` can be used, and what is wrong with those of the others."""
    usable: list[Pack] = []
    problems: list[ConfigurationError] = []
    for folder in _folders(settings).values():
        try:
            usable.append(read_pack(folder))
        except ConfigurationError as error:
            problems.append(error)
    return usable, problems


def find_required(settings: Settings, names: Sequence[str] | None = None) -> list[Pack]:
    """As `find_packs`, with the packs whose tables those use before them."""
    found: dict[str, Pack] = {}

    def add(pack: Pack, users: tuple[str, ...]) -> None:
        if pack.name in users:
            raise ConfigurationError(
                f"cannot set up {' and '.join(users)}: "
                f"{'each requires the other' if len(users) > 1 else 'it requires itself'}. "
                "Take one away from `requires` in their pack.yaml"
            )
        try:
            needed = find_packs(settings, pack.requires) if pack.requires else []
        except UsageError as error:
            raise ConfigurationError(
                f"cannot use {pack.folder / DESCRIPTION}: requires: {error}"
            ) from error
        for other in needed:
            add(other, (*users, pack.name))
        found.setdefault(pack.name, pack)

    for pack in find_packs(settings, names):
        add(pack, ())
    return list(found.values())


def _folders(settings: Settings) -> dict[str, Path]:
    """The folders of packs by name."""
    found = dict(_folders_in(BUILT_IN))
    return (
        found if settings.packs_dir is None else {**found, **dict(_folders_in(settings.packs_dir))}
    )


def _folders_in(directory: Path) -> Iterator[tuple[str, Path]]:
    if not directory.is_dir():
        raise ConfigurationError(
            f"cannot read packs from {str(directory)!r}: there is no such folder. "
            "TAILRACE_PACKS_DIR names it"
        )
    for description in sorted(directory.glob(f"*/{DESCRIPTION}")):
        yield description.parent.name, description.parent


def read_pack(folder: Path) -> Pack:
    """The pack in a folder; ConfigurationError with each thing that is wrong with its pack.yaml."""
    description = Description.read(folder / DESCRIPTION)
    pack = description.as_model(Pack, MANUAL, folder=folder)
    problems = [description.problem(place, why) for place, why in _contradictions(pack)]
    if problems:
        raise ConfigurationError(*problems)
    return pack


def _contradictions(pack: Pack) -> Iterator[tuple[tuple[str, ...], str]]:
    """What in a `pack.yaml` does not fit together: where, and why."""
    if pack.name != pack.folder.name:
        yield ("name",), f"{pack.name!r} is not its folder's, {pack.folder.name!r}"
    if pack.explore and not pack.table:
        yield ("explore",), "there is no table to explore: say `table`"
    for key, fields in (("settings", pack.settings), ("only_with", pack.only_with.values())):
        for name in fields:
            if name not in pack.variables and not _is_setting(name):
                yield (key,), f"there is no setting {name!r}, and no such variable"
    known = set(Settings.model_fields)
    for name, variable in pack.variables.items():
        for why in variable.wrong_default(known):
            yield ("variables", name, "default"), why
        known.add(name)
    for key, text in (("demo", pack.demo), ("entrance", pack.entrance)):
        if not re.match(_ENTRY, text):
            for why in wrong_fields(text, known):
                yield (key,), why


def _is_setting(name: str) -> bool:
    return name in Settings.model_fields or isinstance(getattr(Settings, name, None), property)


def _what_failed(error: BaseException, folder: Path) -> str:
    """An exception of a pack's own code, with the last of its lines that was run."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(folder)]
    said = f"{type(error).__name__}: {error}"
    return f"{said} ({own[-1].filename}:{own[-1].lineno})" if own else said


class _NoSuchPlaceError(Exception):
    """A place that `pipeline.yaml` has not got."""


def _tables(pipeline: dict[str, Any], section: str) -> dict[str, Any]:
    """The components of a section; none where it is no table, which the collector refuses."""
    found = pipeline.get(section)
    return found if isinstance(found, dict) else {}


def _leave_out(pipeline: dict[str, Any], place: str) -> None:
    """Take a component away, `sources.NAME` or the like, and its name from the inputs of others."""
    section, _, name = place.partition(".")
    components = _tables(pipeline, section)
    if name not in components:
        raise _NoSuchPlaceError(f"only_with: there is no component {place!r}")
    del components[name]
    for others in (_tables(pipeline, "transforms"), _tables(pipeline, "sinks")):
        for other in others.values():
            if isinstance(other, dict) and isinstance(other.get("inputs"), list):
                other["inputs"] = [one for one in other["inputs"] if one != name]


def _put(pipeline: dict[str, Any], place: str, value: object) -> None:
    """Set the value at `sources.NAME.option` or the like, unless it is None.

    A number is a place in a list. Tables on the way are made, the component must be there.
    """
    section, *names = place.split(".")
    try:
        component, *parents, last = names
        tree: Any = _tables(pipeline, section)[component]
        if value is None:
            return
        for key in parents:
            tree = tree[int(key)] if isinstance(tree, list) else tree.setdefault(key, {})
        tree[int(last) if isinstance(tree, list) else last] = value
    except (LookupError, ValueError, TypeError, AttributeError) as error:
        raise _NoSuchPlaceError(f"settings: there is no place {place!r}") from error

"""Finds packs and reads what they say of themselves.

A pack is a folder with a `pack.yaml`. The built-in ones are beside this file, a person's own are in
the folder that TAILRACE_PACKS_DIR names; one's own pack takes the place of a built-in one of its
name. Nothing here knows any pack by name.
"""

import importlib
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError

from tailrace.errors import ConfigurationError, UsageError
from tailrace.packs.explore import Explore
from tailrace.packs.variables import Values, Variable
from tailrace.settings import Settings

BUILT_IN = Path(__file__).parent
DESCRIPTION = "pack.yaml"

_ENTRY = r"^\w+(\.\w+)*:\w+$"
Entry = Annotated[str, Field(pattern=_ENTRY)]
"""`module:name`, something within the pack's own files."""

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

    table: str | None = None
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

    retention: dict[str, str] = {}
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
            return str(self.load(said)(settings, values))
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
        pipeline: dict[str, Any] = yaml.safe_load(self.pipeline.read_text("utf-8"))
        values = self.values(settings)
        for name, places in self.settings.items():
            value = values[name] if name in values else getattr(settings, name)
            if isinstance(value, SecretStr):
                value = value.get_secret_value()
            for place in places if value is not None else ():
                _put(pipeline, place.split("."), value)
        for component, name in self.only_with.items():
            if (values[name] if name in values else getattr(settings, name)) is None:
                _leave_out(pipeline, component)
        for sink in pipeline.get("sinks", {}).values():
            if "auth" in sink:
                sink["auth"] = {"strategy": "basic", "user": "", "password": "", **sink["auth"]}
        return yaml.safe_dump(pipeline, sort_keys=False, allow_unicode=True)

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
        except (ImportError, AttributeError, SyntaxError) as error:
            raise ConfigurationError(
                f"cannot load {entry!r} of the pack {self.name!r} in {self.folder}: {error}"
            ) from error


def find_packs(settings: Settings, names: Sequence[str] | None = None) -> list[Pack]:
    """The packs of these names, or every pack there is; UsageError for a name that there is not."""
    packs = {pack.name: pack for pack in _packs_in(BUILT_IN)}
    if settings.packs_dir is not None:
        packs |= {pack.name: pack for pack in _packs_in(settings.packs_dir)}
    for name in names or ():
        if name not in packs:
            raise UsageError(f"cannot find a pack {name!r}: there are {', '.join(sorted(packs))}")
    return [packs[name] for name in dict.fromkeys(names or packs)]


def find_required(settings: Settings, names: Sequence[str] | None = None) -> list[Pack]:
    """As `find_packs`, with the packs whose tables those use before them."""
    found: dict[str, Pack] = {}

    def add(pack: Pack, users: tuple[str, ...]) -> None:
        if pack.name in users:
            raise ConfigurationError(
                f"cannot set up {' and '.join(users)}: each requires the other. Their pack.yaml says so"
            )
        for needed in find_packs(settings, pack.requires) if pack.requires else ():
            add(needed, (*users, pack.name))
        found.setdefault(pack.name, pack)

    for pack in find_packs(settings, names):
        add(pack, ())
    return list(found.values())


def _packs_in(directory: Path) -> Iterator[Pack]:
    if not directory.is_dir():
        raise ConfigurationError(
            f"cannot read packs from {str(directory)!r}: there is no such folder. "
            "TAILRACE_PACKS_DIR names it"
        )
    for description in sorted(directory.glob(f"*/{DESCRIPTION}")):
        yield read_pack(description.parent)


def read_pack(folder: Path) -> Pack:
    """The pack in a folder; ConfigurationError with each thing that is wrong with its pack.yaml."""
    description = folder / DESCRIPTION
    try:
        said = yaml.safe_load(description.read_text("utf-8"))
        pack = Pack(folder=folder, **said)
    except (yaml.YAMLError, TypeError) as error:
        raise ConfigurationError(f"cannot read {description}: {error}") from error
    except ValidationError as error:
        raise ConfigurationError(
            *(
                f"cannot use {description}: {'.'.join(map(str, item['loc']))}: {item['msg']}"
                for item in error.errors()
            )
        ) from error
    problems = [
        f"cannot use {description}: settings: there is no setting {field!r}, and no such variable"
        for field in (*pack.settings, *pack.only_with.values())
        if field not in pack.variables
        and not hasattr(Settings, field)
        and field not in Settings.model_fields
    ]
    if pack.explore and not pack.table:
        problems.append(f"cannot use {description}: explore: there is no table to explore")
    if pack.name != folder.name:
        problems.append(f"cannot use {description}: name {pack.name!r} is not its folder's")
    if problems:
        raise ConfigurationError(*problems)
    return pack


def _leave_out(pipeline: dict[str, Any], place: str) -> None:
    """Take a component away, `sources.NAME` or the like, and its name from the inputs of others."""
    kind, _, name = place.partition(".")
    del pipeline[kind][name]
    for others in (pipeline.get("transforms", {}), pipeline.get("sinks", {})):
        for other in others.values():
            other["inputs"] = [one for one in other["inputs"] if one != name]


def _put(tree: Any, path: list[str], value: object) -> None:
    """Set the value at a path of keys, making what is not there; numbers are places in lists."""
    *parents, last = path
    for key in parents:
        tree = tree[int(key)] if isinstance(tree, list) else tree.setdefault(key, {})
    if isinstance(tree, list):
        tree[int(last)] = value
    else:
        tree[last] = value

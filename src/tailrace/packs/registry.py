"""Finds packs and reads what they say of themselves.

A pack is a folder with a `pack.yaml`. The built-in ones are beside this file, a person's own are in
the folder that TAILRACE_PACKS_DIR names; one's own pack takes the place of a built-in one of its
name. Nothing here knows any pack by name.
"""

import importlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from tailrace.errors import ConfigurationError, UsageError
from tailrace.settings import Settings

BUILT_IN = Path(__file__).parent
DESCRIPTION = "pack.yaml"


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

    settings: dict[str, str] = {}
    """A field of Settings, and the value of `pipeline.yaml` that it replaces, as a dotted path."""

    retention: dict[str, str] = {}
    """A table whose rows are dropped after `retention_days`, and its column with the arrival."""

    generator: str | None = None
    """The function that makes events, `module:function` within the pack."""

    demo: str = "-"
    """Where a demonstration's events go, with `{fields}` of Settings, as `generate --to` has it."""

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
    def has_generator(self) -> bool:
        """Whether `tailrace generate` can make events of this pack."""
        return self.generator is not None

    def demo_target(self, settings: Settings) -> str:
        """Where a demonstration's events go, as `generate --to` has it."""
        return self.demo.format(**settings.model_dump())

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
        for field, place in self.settings.items():
            value = getattr(settings, field)
            if isinstance(value, SecretStr):
                value = value.get_secret_value()
            if value is not None:
                _put(pipeline, place.split("."), value)
        for sink in pipeline.get("sinks", {}).values():
            if "auth" in sink:
                sink["auth"] = {"strategy": "basic", "user": "", "password": "", **sink["auth"]}
        return yaml.safe_dump(pipeline, sort_keys=False, allow_unicode=True)

    def load(self, entry: str) -> Any:
        """The object that `module:name` names in this pack's folder."""
        module_name, _, attribute = entry.partition(":")
        package = f"tailrace_pack_{self.name}"
        if package not in sys.modules:
            module = ModuleType(package)
            module.__path__ = [str(self.folder)]
            sys.modules[package] = module
        return getattr(importlib.import_module(f"{package}.{module_name}"), attribute)


def find_packs(settings: Settings, names: Sequence[str] | None = None) -> list[Pack]:
    """The packs of these names, or every pack there is; UsageError for a name that there is not."""
    packs = {pack.name: pack for pack in _packs_in(BUILT_IN)}
    if settings.packs_dir is not None:
        packs |= {pack.name: pack for pack in _packs_in(settings.packs_dir)}
    for name in names or ():
        if name not in packs:
            raise UsageError(f"cannot find a pack {name!r}: there are {', '.join(sorted(packs))}")
    return [packs[name] for name in dict.fromkeys(names or packs)]


def _packs_in(directory: Path) -> Iterator[Pack]:
    if not directory.is_dir():
        raise ConfigurationError(
            f"cannot read packs from {str(directory)!r}: there is no such folder. "
            "TAILRACE_PACKS_DIR names it"
        )
    for description in sorted(directory.glob(f"*/{DESCRIPTION}")):
        yield _read_pack(description)


def _read_pack(description: Path) -> Pack:
    folder = description.parent
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
        f"cannot use {description}: settings: there is no setting {field!r}"
        for field in pack.settings
        if not hasattr(Settings, field) and field not in Settings.model_fields
    ]
    if pack.name != folder.name:
        problems.append(f"cannot use {description}: name {pack.name!r} is not its folder's")
    if problems:
        raise ConfigurationError(*problems)
    return pack


def _put(tree: dict[str, Any], path: list[str], value: object) -> None:
    """Set the value at a path of keys, making what is not there."""
    *parents, last = path
    for key in parents:
        tree = tree.setdefault(key, {})
    tree[last] = value

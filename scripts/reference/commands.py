"""The pages of commands and settings, from the commands' functions and `Settings`.

A command is a function whose parameters carry Typer's own descriptions in their annotations.
"""

import inspect
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from importlib import import_module
from typing import Any, get_args

from pydantic import SecretStr
from typer.models import ArgumentInfo, OptionInfo

from scripts.reference.markdown import code, page, table
from scripts.reference.options import plain_type, type_of
from tailrace.cli import COMMANDS
from tailrace.settings import ENVIRONMENT_PREFIX, Settings


@dataclass(frozen=True)
class Flag:
    """One parameter of a command."""

    names: tuple[str, ...]
    """As they are typed; of an argument its name in capitals."""
    is_argument: bool
    kind: str
    variable: str
    default: str
    meaning: str

    @property
    def usage(self) -> str:
        """How it stands in the command's usage."""
        return self.names[0]


def command_page() -> str:
    """Every command with its flags."""
    return page(
        "Commands",
        "A flag beats its environment variable, which beats the default. Exit codes: 0 done, "
        "1 something failed and the message says what to do, 2 a wrong command line, 78 a wrong "
        "pipeline file.",
        table(
            ("command", "what it does"),
            [(f"[`tailrace {name}`](#tailrace-{name})", text) for name, text in COMMANDS.items()],
        ),
        *[_command(name) for name in COMMANDS],
    )


def settings_page() -> str:
    """Every setting, where it can be given, and its default."""
    flags: defaultdict[str, list[str]] = defaultdict(list)
    for name in COMMANDS:
        for flag in flags_of(name):
            if flag.variable:
                flags[flag.variable].append(code(f"{name} {flag.usage}"))
    rows = []
    for name, field in Settings.model_fields.items():
        variable = f"{ENVIRONMENT_PREFIX}{name.upper()}"
        default = field.get_default()
        shown = "" if default is None else code("…" if isinstance(default, SecretStr) else default)
        rows.append(
            (
                code(variable),
                type_of(field),
                shown,
                field.description or "",
                ", ".join(flags.get(variable, [])),
            )
        )
    return page(
        "Settings",
        "A setting is an environment variable, and a flag of the commands that use it. A flag "
        "beats the environment, the environment beats the default. A wrong value is said by name, "
        "and nothing is started.",
        table(("variable", "type", "default", "meaning", "flags"), rows),
    )


def flags_of(command: str) -> Iterator[Flag]:
    """The parameters of a command's function."""
    function = getattr(import_module(f"tailrace.cli.{command}"), command)
    for parameter in inspect.signature(function, eval_str=True).parameters.values():
        kind, *descriptions = get_args(parameter.annotation) or (parameter.annotation,)
        described = [one for one in descriptions if isinstance(one, OptionInfo | ArgumentInfo)]
        if described:
            yield _flag(parameter, kind, described[0])


def _flag(parameter: inspect.Parameter, kind: Any, info: OptionInfo | ArgumentInfo) -> Flag:
    is_argument = isinstance(info, ArgumentInfo)
    names = tuple(info.param_decls or ())
    if is_argument:
        names = (info.metavar or parameter.name.upper(),)
    elif not names:
        name = f"--{parameter.name.replace('_', '-')}"
        names = (name, f"--no-{name[2:]}") if kind is bool else (name,)
    return Flag(
        names,
        is_argument,
        "" if kind is bool else info.metavar or plain_type(kind),
        str(info.envvar or ""),
        _default(parameter.default),
        info.help or "",
    )


def _default(default: Any) -> str:
    if default is inspect.Parameter.empty:
        return "**required**"
    if isinstance(default, Enum):
        default = default.value
    if default in (None, False, ""):
        return ""
    if isinstance(default, list | tuple):
        return code(" ".join(map(str, default))) if default else ""
    return code("yes" if default is True else default)


def _command(name: str) -> str:
    found = [*flags_of(name)]
    arguments = [flag for flag in found if flag.is_argument]
    options = [flag for flag in found if not flag.is_argument]
    usage = " ".join(
        ["tailrace", name, *(["[OPTIONS]"] if options else []), *[flag.usage for flag in arguments]]
    )
    parts = [
        f"## `tailrace {name}`",
        f"{COMMANDS[name]}.",
        f"    {usage}",
        table(
            ("argument", "default", "meaning"),
            [(code(flag.usage), flag.default, flag.meaning) for flag in arguments],
        ),
        table(
            ("option", "value", "variable", "default", "meaning"),
            [
                (
                    ", ".join(map(code, flag.names)),
                    flag.kind,
                    code(flag.variable) if flag.variable else "",
                    flag.default,
                    flag.meaning,
                )
                for flag in options
            ],
        ),
    ]
    return "\n\n".join(filter(None, parts))

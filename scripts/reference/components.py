"""The pages of sources, transforms, sinks, codecs and of what stands outside of components."""

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel

from scripts.reference.markdown import code, page, paragraphs
from scripts.reference.options import models_in, option_table
from tailrace.collect.codecs import CODECS
from tailrace.collect.config import (
    INTERPOLATION_FLAG,
    INTERPOLATION_VARIABLE,
    installed_components,
)
from tailrace.collect.config.globals import Globals
from tailrace.collect.config.load import INTERNAL_CODECS, REFUSED_SECTIONS
from tailrace.collect.config.unit_tests import UnitTest
from tailrace.collect.encoding import Encoding
from tailrace.collect.options import Decoding
from tailrace.collect.sinks import SINKS
from tailrace.collect.sources import SOURCES
from tailrace.collect.transforms import TRANSFORMS

STRICT = (
    "An option is obeyed or refused by name, with its line and the nearest name that there is; "
    "none is ever ignored. `tailrace validate FILE` says what is wrong, and exits with 78."
)
COMMON = frozenset({"type", "inputs"})


def sources_page() -> str:
    """Where events come from."""
    return page(
        "Sources",
        "Each has Vector's name and Vector's options. Its events have the fields that are said "
        "below and, where they have none of their own, `source_type` (the source's type) and "
        f"`timestamp` (the time of arrival). {STRICT}",
        _contents(SOURCES),
        *[
            _component(name, one.config, _module(one.build), COMMON)
            for name, one in sorted(SOURCES.items())
        ],
    )


def transforms_page() -> str:
    """What happens on the way."""
    return page(
        "Transforms",
        "Each has Vector's name and Vector's options, and takes the events of the components that "
        "`inputs` names: sources, transforms, or their named outputs (`route.errors`), where `*` "
        f"stands for any text. {STRICT}",
        "A *condition* is a program in VRL that ends in a boolean: `'.level == \"error\"'`, or in "
        "full `{type: vrl, source: '.level == \"error\"'}`. It must not change the event; one that "
        "fails for an event counts as false, and as an error.",
        _contents(TRANSFORMS),
        *[
            _component(name, config, inspect.getmodule(config), COMMON)
            for name, config in sorted(TRANSFORMS.items())
        ],
    )


def sinks_page() -> str:
    """Where events go."""
    return page(
        "Sinks",
        "Each has Vector's name and Vector's options, and takes the events of the components that "
        f"`inputs` names. {STRICT}",
        _contents(SINKS),
        *[
            _component(name, one.config, _module(one.build), COMMON)
            for name, one in sorted(SINKS.items())
        ],
    )


def codecs_page() -> str:
    """How bytes become events, and events bytes."""
    names = sorted(set(CODECS) - INTERNAL_CODECS)
    return page(
        "Codecs",
        "## Reading: `decoding.codec`",
        "Sources that take bytes of any form have the option `decoding`. What a codec refuses is "
        "kept in the table of rejected rows, with the reason; it never stops what comes after it.",
        *[f"### {code(name)}\n\n{_description(inspect.getmodule(CODECS[name]))}" for name in names],
        option_table(Decoding),
        _not_taken(Decoding),
        "## Writing: `encoding.codec`",
        "The sinks `console`, `file` and `http` need the option `encoding.codec`; `clickhouse` "
        "writes what ClickHouse reads, and has the rest of `encoding`.",
        option_table(Encoding),
        _not_taken(Encoding),
    )


def general_page() -> str:
    """What a file holds besides components."""
    refused = ", ".join(map(code, sorted(REFUSED_SECTIONS)))
    return page(
        "Configuration files",
        "YAML, TOML and JSON, told by the end of the file's name, in Vector's language; several "
        "files are one configuration. YAML is read by the rules of version 1.2, as Vector does: "
        "`yes` and `off` are text.",
        STRICT,
        f"`${{NAME}}`, `${{NAME:-default}}` and `${{NAME:?message}}` stand for environment "
        f"variables only with `{INTERPOLATION_FLAG}` or `{INTERPOLATION_VARIABLE}=true`, as in "
        "Vector since 0.57.",
        "## Outside of components",
        option_table(Globals, frozenset({"sources", "transforms", "sinks", "tests"})),
        f"Vector's sections {refused} are refused.",
        _not_taken(Globals),
        "## `tests`",
        "What `tailrace test` runs, as `vector test` does.",
        option_table(UnitTest),
    )


def _component(name: str, config: type[BaseModel], module: Any, skip: frozenset[str]) -> str:
    return "\n\n".join(
        filter(
            None,
            [
                f"## `{name}`",
                _description(module),
                option_table(config, skip) or "It has no options.",
                _not_taken(config),
            ],
        )
    )


def _description(module: Any) -> str:
    """A module's docstring behind its first colon."""
    text = _doc(module).partition(": ")[2]
    return paragraphs(text[:1].upper() + text[1:])


def _not_taken(config: type[BaseModel]) -> str:
    """Vector's options that are refused, with the reasons, from the classes themselves."""
    reasons = dict(sorted(_refused(config, "")))
    if not reasons:
        return ""
    lines = [f"- {code(name)}: {reason}" for name, reason in reasons.items()]
    return "\n".join(["Not taken from Vector:", "", *lines])


def _refused(config: type[BaseModel], prefix: str) -> Iterable[tuple[str, str]]:
    not_taken: Mapping[str, str] = getattr(config, "not_taken", {})
    options = {field.alias or name for name, field in config.model_fields.items()}
    for name, reason in not_taken.items():
        if name not in options:
            yield f"{prefix}{name}", reason
    for name, field in config.model_fields.items():
        for nested in models_in(field.annotation):
            yield from _refused(nested, f"{prefix}{field.alias or name}.")


def _contents(names: Iterable[str]) -> str:
    return " · ".join(f"[`{name}`](#{name})" for name in sorted(names))


def _module(build: Any) -> Any:
    return inspect.getmodule(build)


def _doc(module: Any) -> str:
    return inspect.cleandoc(module.__doc__ or "")


def component_models() -> list[type[BaseModel]]:
    """The classes of all components' options."""
    found = installed_components()
    return [*found.sources.values(), *found.transforms.values(), *found.sinks.values()]

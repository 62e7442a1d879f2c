"""Checks everything that configuration files say, and gives back a `Config`.

All problems are found in one go, as far as one does not hide another: a file that cannot be parsed
hides what is in it, and a component with a wrong option hides what its programs say.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from textwrap import indent
from typing import Any, TypeVar

from tailrace.collect.codecs import CODECS
from tailrace.collect.component import Options, SinkConfig
from tailrace.collect.condition import condition_problem
from tailrace.collect.config.buffers import check_buffers
from tailrace.collect.config.globals import API_WARNING, Globals
from tailrace.collect.config.kinds import check_kinds
from tailrace.collect.config.merge import SECTIONS, Merged
from tailrace.collect.config.model import Config, Registries
from tailrace.collect.config.problem import did_you_mean
from tailrace.collect.config.unit_tests import UnitTest
from tailrace.collect.config.validate_options import validate
from tailrace.collect.config.wiring import Wiring
from tailrace.collect.options import Decoding
from tailrace.collect.vrl import check
from tailrace.yaml_text import Place

REFUSED_SECTIONS = frozenset({"enrichment_tables", "secret"})
"""Sections that Vector has and Tailrace has no part for."""

INTERNAL_CODECS = frozenset({"events", "fluent", "logstash", "opentelemetry", "splunk_hec"})
"""Codecs that sources use for what they make themselves; no file may name them."""

Kind = TypeVar("Kind", bound=Options)


def load_with(
    registries: Registries,
    paths: Sequence[Path],
    *,
    environment: Mapping[str, str] | None = None,
    for_tests: bool = False,
) -> Config:
    """The configuration that the files make up together, of the components in `registries`.

    Variables are interpolated from `environment`, and left as they stand where it is None.
    """
    merged = Merged()
    for path in paths:
        merged.read(path, environment)
    options = _globals(merged)
    _check_names(merged)
    if not for_tests and not merged.lacks_a_file:
        _check_ends(merged)
    sources = _components(merged, "sources", registries.sources)
    transforms = _components(merged, "transforms", registries.transforms)
    sinks = _components(merged, "sinks", registries.sinks)
    with_strangers = for_tests or merged.lacks_a_file
    wiring = Wiring(merged, sources, transforms, sinks, with_strangers=with_strangers)
    for name, source in sources.items():
        _check_codec(merged, name, source)
    for name, transform in transforms.items():
        for option, diagnostics in transform.problems(options.timezone):
            merged.wrong(("transforms", name, *_parts(option)), _in_full(diagnostics))
    for name, sink in sinks.items():
        _check_templates(merged, name, sink)
    check_buffers(merged, sources, wiring)
    check_kinds(merged, sources, wiring)
    tests = _tests(merged, wiring, options.timezone)
    merged.problems.raise_if_any()
    return Config(
        sources=sources,
        transforms=wiring.transforms,
        sinks=wiring.sinks,
        order=wiring.order,
        data_dir=Path(options.data_dir) if options.data_dir else None,
        timezone=options.timezone,
        acknowledgements=options.acknowledgements.enabled,
        healthchecks=options.healthchecks.enabled,
        require_healthy=bool(options.healthchecks.require_healthy),
        tests=tests,
        warnings=(*_global_warnings(merged, options), *wiring.warnings),
    )


def _globals(merged: Merged) -> Globals:
    for section in REFUSED_SECTIONS & set(merged.data):
        merged.wrong(
            (section,),
            "Tailrace does not have this part of Vector: run the file with Vector itself",
        )
    table = {key: value for key, value in merged.data.items() if key not in REFUSED_SECTIONS}
    found = validate(Globals, table)
    if isinstance(found, Globals):
        return found
    for wrong in found:
        merged.wrong(wrong.place, wrong.message)
    return Globals()


def _global_warnings(merged: Merged, options: Globals) -> tuple[str, ...]:
    return (merged.described(("api",), API_WARNING),) if options.api.enabled else ()


def _check_names(merged: Merged) -> None:
    """Ids are shared by all sections, and `.` is what parts them from their outputs."""
    seen: dict[str, str] = {}
    for section in SECTIONS:
        for name in merged.data[section]:
            if "." in name:
                merged.wrong((section, name), 'the name of a component cannot contain "."')
            if name in seen:
                merged.wrong((section, name), f"{seen[name]}.{name} has the same name")
            seen.setdefault(name, section)


def _check_ends(merged: Merged) -> None:
    for section in ("sources", "sinks"):
        if not merged.data[section]:
            merged.wrong((section,), f"a pipeline needs at least one of the {section}")


def _components(
    merged: Merged, section: str, registry: Mapping[str, type[Kind]]
) -> dict[str, Kind]:
    valid: dict[str, Kind] = {}
    for name, table in merged.data[section].items():
        place = (section, name)
        kind = table.get("type") if isinstance(table, dict) else None
        if kind is None:
            merged.wrong((*place, "type"), "this option is missing, and has no default")
        elif kind not in registry:
            merged.wrong((*place, "type"), _unsupported(section, str(kind), registry))
        else:
            found = validate(registry[kind], table)
            if isinstance(found, list):
                for wrong in found:
                    merged.wrong((*place, *wrong.place), wrong.message)
            else:
                valid[name] = found
    return valid


def _unsupported(section: str, kind: str, registry: Mapping[str, Any]) -> str:
    near = did_you_mean(kind, registry)
    hint = near if near.startswith("; did") else "."
    return (
        f'Tailrace has no {section.removesuffix("s")} "{kind}"{hint} It has '
        f"{', '.join(sorted(registry))}. Vector itself runs this file as it stands"
    )


def _check_codec(merged: Merged, name: str, source: Options) -> None:
    """A codec must be there, and no option may be for another codec than the one that is used."""
    decoding = getattr(source, "decoding", None)
    if not isinstance(decoding, Decoding):
        return
    place = ("sources", name, "decoding")
    codec = decoding.codec
    known = set(CODECS) - INTERNAL_CODECS
    if codec not in known:
        message = f'Tailrace has no codec "{codec}"{did_you_mean(codec, known)}'
        merged.wrong((*place, "codec"), message)
    if not decoding.json_options.lossy:
        message = "cannot be false: bytes that are not UTF-8 always become U+FFFD"
        merged.wrong((*place, "json", "lossy"), message)
    if "json_options" in decoding.model_fields_set and codec != "json":
        merged.wrong((*place, "json"), f'belongs to the codec "json", not to "{codec}"')


def _check_templates(merged: Merged, name: str, sink: SinkConfig) -> None:
    """Refuse templates; first those that Vector refuses, too, because anybody could steer them."""
    given = {
        option: value
        for option, value in merged.data["sinks"][name].items()
        if option not in sink.templates
    }
    for place, value in _texts((), given):
        if "{{" not in value:
            continue
        message = f"Tailrace does not fill in templates: {value!r}; give a fixed name"
        if value.lstrip().startswith("{{"):
            message = (
                f"an event could choose any value here: {value!r} needs a literal prefix, as in "
                f"'logs_{value.strip()}'"
            )
        merged.wrong(("sinks", name, *place), message)


def _texts(place: Place, value: Any) -> Iterator[tuple[Place, str]]:
    """Every text in a table, with its place."""
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            yield from _texts((*place, key), item)


def _tests(merged: Merged, wiring: Wiring, timezone: str) -> tuple[UnitTest, ...]:
    tests: list[UnitTest] = []
    for index, table in enumerate(merged.data["tests"]):
        place: Place = ("tests", index)
        found = validate(UnitTest, table)
        if isinstance(found, list):
            for wrong in found:
                merged.wrong((*place, *wrong.place), wrong.message)
            continue
        tests.append(found)
        _check_test_names(merged, wiring, place, found)
        _check_test_programs(merged, place, found, timezone)
    return tuple(tests)


def _check_test_names(merged: Merged, wiring: Wiring, place: Place, test: UnitTest) -> None:
    outputs = [name for name in wiring.outputs() if name.partition(".")[0] in wiring.transforms]
    inputs = test.all_inputs()
    wanted: list[tuple[Place, str, list[str]]] = [
        (("inputs", number, "insert_at"), given.insert_at, list(wiring.transforms))
        for number, given in enumerate(inputs)
    ]
    for number, output in enumerate(test.outputs):
        at = ("outputs", number, "extract_from")
        wanted.extend((at, name, outputs) for name in output.outputs())
    wanted.extend((("no_outputs_from",), name, outputs) for name in test.no_outputs_from)
    for option, name, known in wanted:
        if name not in known and name.partition(".")[0] not in wiring.broken:
            merged.wrong(
                (*place, *option), f'no transform gives "{name}"{did_you_mean(name, known)}'
            )


def _check_test_programs(merged: Merged, place: Place, test: UnitTest, timezone: str) -> None:
    for number, given in enumerate(test.all_inputs()):
        diagnostics = check(given.source, timezone=timezone) if given.source else None
        if diagnostics:
            merged.wrong((*place, "inputs", number, "source"), _in_full(diagnostics))
    for number, output in enumerate(test.outputs):
        for position, condition in enumerate(output.conditions):
            diagnostics = condition_problem(condition, timezone)
            if diagnostics:
                at = (*place, "outputs", number, "conditions", position)
                merged.wrong(at, _in_full(diagnostics))


def _parts(option: str) -> Place:
    """The place of `routes[0].condition`."""
    parts = re.findall(r"[^.\[\]]+|\[\d+\]", option)
    return tuple(int(part[1:-1]) if part.startswith("[") else part for part in parts)


def _in_full(diagnostics: str) -> str:
    """A compiler's report under a headline; a single sentence as it is."""
    if "\n" not in diagnostics:
        return diagnostics
    return "cannot compile this program:\n" + indent(diagnostics, "    ")

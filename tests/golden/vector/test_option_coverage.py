"""Every option that is accepted stands in a golden case, and so does every word that it may be.

The options are those of the configuration classes, so a new one without a case fails here. Those
that change nothing between what goes in and what comes out are in `SHOWN_ELSEWHERE`, with where it
is held.
"""

from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

import pytest
from pydantic import BaseModel

from tailrace.collect.config import installed_components
from tests.golden.vector.golden_cases import Case, cases_of

CONNECTIONS = "of the system's connections: changes no event"
TLS = "needs certificates: tests/contract/test_tls_contract.py"
SHOWN_ELSEWHERE = {
    "receive_buffer_bytes": CONNECTIONS,
    "keepalive": CONNECTIONS,
    "shutdown_timeout_secs": CONNECTIONS,
    "tls": TLS,
    "http.tls": TLS,
    "healthcheck": "asked at start, changes no event: tests/unit/collect/test_sink_clickhouse.py",
    "buffer": "of what waits before a sink: tests/integration/test_collect_buffer.py",
    "grpc": "refused, whatever it is",
}
"""Options, of any component, that no case can show, and why."""

ALWAYS_REFUSED = {("stdin", "framing.method=bytes")}
"""Words that other components have, with the same class of options."""

NEED_A_SERVER = {"kafka": "a broker: tests/integration and tests/unit of the source itself"}
"""Components whose cases would need a server that is not here."""

REGISTRIES = installed_components()
COMPONENTS = [
    pytest.param(section, kind, model, id=f"{section}-{kind}")
    for section in ("sources", "transforms", "sinks")
    for kind, model in sorted(getattr(REGISTRIES, section).items())
    if kind not in NEED_A_SERVER
]
CASES = {section: cases_of(section) for section in ("sources", "transforms", "sinks")}


@pytest.mark.parametrize(("section", "kind", "model"), COMPONENTS)
def test_every_option_stands_in_a_case(section: str, kind: str, model: type[BaseModel]) -> None:
    cases = [case for case in CASES[section] if case.kind == kind]
    used = {option for case in cases if not case.is_refused for option in _used(case, model)}
    missing = {option for option in _all_options(model) if not _is_shown_elsewhere(option)} - used
    missing -= {option for component, option in ALWAYS_REFUSED if component == kind}
    assert not missing, f"{section}/{kind}.yaml has no case with {', '.join(sorted(missing))}"


@pytest.mark.parametrize(("section", "kind", "model"), COMPONENTS)
def test_wrong_options_stand_in_a_case(section: str, kind: str, model: type[BaseModel]) -> None:
    assert any(case.is_refused for case in CASES[section] if case.kind == kind)


def test_no_case_is_of_a_component_that_is_gone() -> None:
    for section, cases in CASES.items():
        assert {case.kind for case in cases} <= getattr(REGISTRIES, section).keys()


@pytest.mark.parametrize("option", SHOWN_ELSEWHERE)
def test_what_is_shown_elsewhere_is_an_option(option: str) -> None:
    models = [param.values[2] for param in COMPONENTS]
    assert any(option in _all_options(model) for model in models)  # type: ignore[arg-type]


def _is_shown_elsewhere(option: str) -> bool:
    plain = option.partition("=")[0]
    return any(plain == each or plain.startswith(f"{each}.") for each in SHOWN_ELSEWHERE)


def _all_options(model: type[BaseModel], prefix: str = "") -> set[str]:
    """Paths of options, and `path=word` for those that are one of several words."""
    found: set[str] = set()
    for name, information in model.model_fields.items():
        path = f"{prefix}{information.alias or name}"
        if not prefix and path in ("type", "inputs"):
            continue
        words = [word for word in _words(information.annotation) if isinstance(word, str)]
        found |= {path} | ({f"{path}={word}" for word in words} if len(words) > 1 else set())
        inner = f"{path}.*." if get_origin(information.annotation) is dict else f"{path}."
        for nested in _models(information.annotation):
            found |= _all_options(nested, inner)
    return found


def _used(case: Case, model: type[BaseModel]) -> set[str]:
    return set(_options_in(case.options, model, ""))


def _options_in(table: dict[str, Any], model: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, information in model.model_fields.items():
        key = information.alias or name
        if key not in table:
            continue
        path, value = f"{prefix}{key}", table[key]
        yield path
        if isinstance(value, str):
            yield f"{path}={value}"
        is_map = get_origin(information.annotation) is dict
        values = value.values() if is_map else value if isinstance(value, list) else [value]
        for nested in _models(information.annotation):
            for each in values:
                if isinstance(each, dict):
                    yield from _options_in(each, nested, f"{path}.*." if is_map else f"{path}.")


def _words(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) is Literal:
        yield from get_args(annotation)
    elif get_origin(annotation) is not dict:
        for part in get_args(annotation):
            yield from _words(part)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)

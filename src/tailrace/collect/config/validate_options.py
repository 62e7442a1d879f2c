"""Checks a table of options against its component's class, and says in words what is wrong."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from tailrace.collect.component import Options
from tailrace.collect.config.problem import did_you_mean
from tailrace.yaml_text import Place

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class Wrong:
    """An option that cannot be used; `place` counts from the component's own table."""

    place: Place
    message: str


def validate(model: type[Model], table: Any) -> Model | list[Wrong]:
    """The options, or everything that is wrong with them."""
    if not isinstance(table, Mapping):
        return [Wrong((), f"cannot be {table!r}: a table of options is wanted")]
    try:
        return model.model_validate(dict(table))
    except ValidationError as error:
        wrong = [_in_words(model, table, details) for details in error.errors()]
        return [one for one in dict.fromkeys(wrong) if not _is_explained(one, wrong)]


def _is_explained(one: Wrong, others: Sequence[Wrong]) -> bool:
    """Whether it only follows from what is wrong inside of it.

    A list whose items are wrong is also "too short", and where a text or a table may stand, a wrong
    table is also "no text".
    """
    depth = len(one.place)
    return any(len(other.place) > depth and other.place[:depth] == one.place for other in others)


def _in_words(model: type[BaseModel], table: Any, details: ErrorDetails) -> Wrong:
    place = _place_in(table, details["loc"])
    kind, message = details["type"], details["msg"]
    if kind == "extra_forbidden":
        owner = _model_at(model, place[:-1])
        if owner and issubclass(owner, Options) and place[-1] in owner.not_taken:
            reason = owner.not_taken[str(place[-1])]
            return Wrong(place, f"Tailrace does not have this option of Vector's: {reason}")
        known = option_names(owner)
        return Wrong(place, f"unknown option{did_you_mean(str(place[-1]), known)}")
    if kind == "missing":
        missing = str(details["loc"][-1])
        return Wrong((*place, missing), "this option is missing, and has no default")
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        # Not the whole table in words: it may hold a password.
        return _wrong_tag(place, details)
    if kind == "value_error":
        return Wrong(place, message.removeprefix("Value error, "))
    if kind == "literal_error":
        expected = details.get("ctx", {}).get("expected", "")
        return Wrong(place, f"cannot be {details['input']!r}; it must be {expected}")
    plain = message.replace("valid tuple", "list").replace("Tuple", "List").removeprefix("Input ")
    return Wrong(place, f"cannot be {_short(details['input'])}: {plain}")


def _wrong_tag(place: Place, details: ErrorDetails) -> Wrong:
    """The option that says which of several tables another one is."""
    context = details.get("ctx", {})
    name = str(context.get("discriminator", "")).strip("'")
    if details["type"] == "union_tag_not_found":
        return Wrong((*place, name), "this option is missing, and has no default")
    expected = str(context.get("expected_tags", ""))
    known = " or ".join(expected.rsplit(", ", 1))
    return Wrong((*place, name), f"cannot be {context.get('tag')!r}; it must be {known}")


def _place_in(table: Any, location: tuple[str | int, ...]) -> Place:
    """The part of Pydantic's location that is in the file: it also names members of unions."""
    place: list[str | int] = []
    here = table
    for part in location:
        if isinstance(here, Mapping) and part in here:
            here = here[part]
        elif isinstance(here, list | tuple) and isinstance(part, int) and part < len(here):
            here = here[part]
        else:
            continue
        place.append(part)
    return tuple(place)


def option_names(model: type[BaseModel] | None) -> list[str]:
    """Options of a table as files name them."""
    return [field.alias or name for name, field in model.model_fields.items()] if model else []


def _model_at(model: type[BaseModel], place: Place) -> type[BaseModel] | None:
    """The class of a nested table."""
    found: type[BaseModel] | None = model
    for part in place:
        if isinstance(part, int) or found is None:
            continue
        for name, field in found.model_fields.items():
            if part in {name, field.alias}:
                found = next(_models_in(field.annotation), None)
                break
    return found


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"

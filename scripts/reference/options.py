"""Tables of options, from their Pydantic classes."""

import json
import re
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic import BaseModel, HttpUrl, SecretStr
from pydantic.fields import FieldInfo
from pydantic.networks import IPvAnyNetwork
from pydantic_core import PydanticUndefined

from scripts.reference.markdown import code, table
from tailrace.collect.condition import VrlCondition

HEAD = ("option", "type", "default", "meaning")
BOUNDS = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
PLAIN: dict[Any, str] = {
    str: "text",
    int: "integer",
    float: "number",
    bool: "boolean",
    Path: "path",
    HttpUrl: "URL",
    SecretStr: "text, kept secret",
    IPvAnyNetwork: "network",
    Any: "anything",
}


def option_table(model: type[BaseModel], skip: frozenset[str] = frozenset()) -> str:
    """Every option of a component, those of tables inside of it as `table.option`."""
    return table(HEAD, _rows(model, "", skip))


def _rows(
    model: type[BaseModel], prefix: str, skip: frozenset[str] = frozenset()
) -> Iterator[tuple[str, str, str, str]]:
    for name, field in model.model_fields.items():
        option = field.alias or name
        if option in skip:
            continue
        path = f"{prefix}{option}"
        meaning = field.description or ""
        yield code(path), type_of(field), default_of(field), meaning
        inner = f"{path}.<name>." if get_origin(field.annotation) is dict else f"{path}."
        rows: dict[str, tuple[str, str, str, str]] = {}
        for nested in models_in(field.annotation):
            for row in _rows(nested, inner):
                # Of several tables that may stand here: what they have in common stands once.
                known = rows.get(row[0])
                both = (row[0], f"{known[1]} or {row[1]}", *row[2:]) if known else row
                rows[row[0]] = row if known and known[1] == row[1] else both
        yield from rows.values()


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """Classes of the tables that an option may hold; conditions are explained elsewhere."""
    if annotation is VrlCondition:
        return
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from models_in(part)


def type_of(field: FieldInfo) -> str:
    """The type in words, with its bounds."""
    words = _type(field.annotation)
    bounds = [text for one in field.metadata if (text := _bound(one))]
    return ", ".join([words, *bounds])


def plain_type(annotation: Any) -> str:
    """A type in words."""
    return _type(annotation)


def _bound(metadata: Any) -> str | None:
    for name, word in BOUNDS.items():
        limit = getattr(metadata, name, None)
        if limit is not None:
            return f"{word} {limit}"
    if isinstance(metadata, annotated_types.MinLen) and metadata.min_length == 1:
        return "not empty"
    return None


def _type(annotation: Any) -> str:
    if annotation in PLAIN:
        return PLAIN[annotation]
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "condition" if annotation is VrlCondition else "table"
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return " or ".join(code(member.value) for member in annotation)
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " or ".join(code(part) for part in parts)
    if origin is tuple or origin is list:
        return f"list of: {_type(parts[0])}"
    if origin is dict:
        return f"table of: {_type(parts[1])}"
    if origin in (Union, UnionType):
        return _union([part for part in parts if part is not NoneType])
    if hasattr(annotation, "__metadata__"):
        return _type(parts[0])
    return str(annotation)


def _union(parts: list[Any]) -> str:
    if VrlCondition in parts:
        return "condition"
    return " or ".join(dict.fromkeys(_type(part) for part in parts))


def default_of(field: FieldInfo) -> str:
    """The default as it would stand in a file."""
    if field.is_required():
        return "**required**"
    default = field.get_default(call_default_factory=True, validated_data={})
    if default is None or default is PydanticUndefined or isinstance(default, BaseModel):
        return ""
    if default in ((), {}, [], ""):
        return code(json.dumps(list(default) if default == () else default))
    if isinstance(default, str):
        return code(json.dumps(default) if re.search(r"\s|^$", default) else default)
    return code(json.dumps(default) if isinstance(default, bool | float | int) else default)

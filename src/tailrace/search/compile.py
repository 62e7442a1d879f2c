"""The one module that turns what a person typed into SQL.

`compile_search` gives a condition whose every typed part is a bound parameter: the SQL text is made
of the constants in this file and of `{p0:String}`, `{p1:String}` … alone.

A condition is never NULL, so that NOT of it holds exactly where it does not. Where the table has a
text index, the condition is written in the form that uses it (`hasAllTokens(lower(message), …)`,
`has(attribute_items, 'k=v')`), with an exact check beside it where the index alone says too much.
"""

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import assert_never

from tailrace.errors import QueryError
from tailrace.search.fields import COLUMNS, LEVELS, attribute_of, column_of, level_of
from tailrace.search.parse import parse
from tailrace.search.syntax import (
    And,
    Compare,
    Everything,
    Exists,
    Match,
    Node,
    Not,
    Operator,
    Or,
    Range,
    Regex,
    Value,
)
from tailrace.search.times import parse_moment

ParameterValue = str | float | int | list[str] | list[int]

_TOKEN = re.compile(r"[0-9A-Za-z]+", re.ASCII)
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
_BEFORE_WORD = r"(?:^|[^\pL\pN])"
_AFTER_WORD = r"(?:$|[^\pL\pN])"


@dataclass
class Parameters:
    """Values bound to the names p0, p1 … of one statement."""

    values: dict[str, ParameterValue] = field(default_factory=dict)

    def bind(self, value: ParameterValue, kind: str) -> str:
        """Keep a value; the placeholder that stands for it in SQL, as ClickHouse's type `kind`."""
        name = f"p{len(self.values)}"
        self.values[name] = value
        return f"{{{name}:{kind}}}"

    def text(self, value: str) -> str:
        """Bind a String."""
        return self.bind(value, "String")

    def moment(self, value: datetime) -> str:
        """Bind a moment, which Python knows to the microsecond."""
        nanos = (value - _EPOCH) // _MICROSECOND * 1000
        return f"fromUnixTimestamp64Nano({self.bind(nanos, 'Int64')}, 'UTC')"


def compile_search(text: str, parameters: Parameters, now: datetime) -> str:
    """The condition of a search; relative times in it are seen from `now`.

    Raises QueryError, with its place, for a search that cannot be understood.
    """
    return _Compiler(text, parameters, now).condition(parse(text))


@dataclass
class _Compiler:
    text: str
    parameters: Parameters
    now: datetime

    def condition(self, node: Node) -> str:
        match node:
            case Everything():
                return "1"
            case And(nodes):
                return "(" + " AND ".join(self.condition(inner) for inner in nodes) + ")"
            case Or(nodes):
                return "(" + " OR ".join(self.condition(inner) for inner in nodes) + ")"
            case Not(inner):
                return f"NOT {self.condition(inner)}"
            case Match(name, value):
                return self._in_message(value) if name is None else self._equals(name, value)
            case Regex(name, pattern, _):
                subject = "message" if name is None else self._text_of(name)
                return f"match({subject}, {self.parameters.text(pattern)})"
            case Exists(name):
                return self._exists(name)
            case Compare(name, operator, value):
                return self._compare(name, operator, value)
            case Range():
                return self._range(node)
            case _:
                assert_never(node)

    def _in_message(self, value: Value) -> str:
        """Whole words, without regard to case; with wildcards, any place they allow."""
        literal = value.literal
        if literal is None:
            return self._message_pattern(value)
        tokens = _ascii_tokens(literal)
        exact = len(tokens) == 1 and tokens[0] == literal.lower()
        conditions = []
        if tokens:
            placeholder = self.parameters.bind(tokens, "Array(String)")
            conditions.append(f"hasAllTokens(lower(message), {placeholder})")
        if not exact:
            pattern = _word_pattern(re.escape(literal), literal, literal)
            conditions.append(f"match(message, {self.parameters.text(pattern)})")
        return _all_of(conditions)

    def _message_pattern(self, value: Value) -> str:
        first, *inner, last = value.parts
        if not first and not last and len(inner) == 1:
            return f"positionCaseInsensitiveUTF8(message, {self.parameters.text(inner[0])}) > 0"
        body = r"\S*".join(re.escape(part) for part in value.parts)
        pattern = _word_pattern(body, first, last)
        return f"match(message, {self.parameters.text(pattern)})"

    def _equals(self, name: str, value: Value) -> str:
        column = column_of(name)
        if column is not None and COLUMNS[column] == "message":
            return self._in_message(value)
        if column is not None and COLUMNS[column] == "moment":
            return f"{column} = {self._moment(value)}"
        literal = value.literal
        if literal is None:
            return self._like(name, column, value)
        if column is None:
            item = self.parameters.text(f"{attribute_of(name)}={literal}")
            return f"has(attribute_items, {item})"
        typed = level_of(literal) if COLUMNS[column] == "level" else literal
        return f"{column} = {self.parameters.text(typed)}"

    def _like(self, name: str, column: str | None, value: Value) -> str:
        pattern = "%".join(_escape_like(part) for part in value.parts)
        if column is not None and COLUMNS[column] == "level":
            pattern = pattern.upper()
        return f"{self._text_of(name)} LIKE {self.parameters.text(pattern)}"

    def _exists(self, name: str) -> str:
        column = column_of(name)
        if column is None:
            return f"mapContains(attributes, {self.parameters.text(attribute_of(name))})"
        return "1" if COLUMNS[column] == "moment" else f"{column} != ''"

    def _compare(self, name: str, operator: Operator, value: Value) -> str:
        column = column_of(name)
        if column is not None and COLUMNS[column] == "moment":
            return f"{column} {operator} {self._moment(value)}"
        if column is not None and COLUMNS[column] == "level":
            return self._level_compare(operator, value)
        number = _number(value)
        if number is not None:
            placeholder = self.parameters.bind(number, "Float64")
            subject = f"toFloat64OrNull({self._text_of(name)})"
            return f"ifNull({subject} {operator} {placeholder}, 0)"
        text = self._text_of(name)
        return f"({text} != '' AND {text} {operator} {self.parameters.text(value.text)})"

    def _level_compare(self, operator: Operator, value: Value) -> str:
        """Levels compare by severity: `level:>=warning` is warning, error and critical."""
        level = level_of(value.text)
        if level not in LEVELS:
            raise QueryError(
                f"cannot compare with the level {value.text!r}: the levels are "
                + ", ".join(name.lower() for name in LEVELS),
                text=self.text,
                position=value.position,
            )
        rank = LEVELS.index(level)
        chosen = {
            ">": LEVELS[rank + 1 :],
            ">=": LEVELS[rank:],
            "<": LEVELS[:rank],
            "<=": LEVELS[: rank + 1],
        }[operator]
        return f"log_level IN {self.parameters.bind(list(chosen), 'Array(String)')}"

    def _range(self, node: Range) -> str:
        ends = []
        if node.low is not None:
            ends.append(self._compare(node.field, ">=" if node.low_included else ">", node.low))
        if node.high is not None:
            ends.append(self._compare(node.field, "<=" if node.high_included else "<", node.high))
        return _all_of(ends) if ends else self._exists(node.field)

    def _text_of(self, name: str) -> str:
        """SQL for a field's text: a column of ours or an attribute by a bound name."""
        column = column_of(name)
        if column is None:
            return f"attributes[{self.parameters.text(attribute_of(name))}]"
        return f"toString({column})" if COLUMNS[column] == "moment" else column

    def _moment(self, value: Value) -> str:
        try:
            return self.parameters.moment(parse_moment(value.text, self.now))
        except QueryError as error:
            raise QueryError(str(error), text=self.text, position=value.position) from error


def _ascii_tokens(text: str) -> list[str]:
    """The words of `text` that the index on lower(message) surely holds as they are.

    A run that touches a character beyond ASCII is left out: the index takes such characters as
    letters, and lower() leaves their case alone.
    """
    found = []
    for match in _TOKEN.finditer(text):
        around = (
            text[max(0, match.start() - 1) : match.start()] + text[match.end() : match.end() + 1]
        )
        if not _NOT_ASCII.search(around):
            found.append(match.group().lower())
    return found


def _word_pattern(body: str, first: str, last: str) -> str:
    """A pattern that begins and ends at the edge of a word, where `first` and `last` have one."""
    before = _BEFORE_WORD if first[:1].isalnum() else ""
    after = _AFTER_WORD if last[-1:].isalnum() else ""
    return f"(?i){before}{body}{after}"


def _escape_like(text: str) -> str:
    return re.sub(r"([\\%_])", r"\\\1", text)


def _number(value: Value) -> float | None:
    try:
        number = float(value.text)
    except ValueError:
        return None
    return number if abs(number) != float("inf") and number == number else None


def _all_of(conditions: list[str]) -> str:
    return conditions[0] if len(conditions) == 1 else "(" + " AND ".join(conditions) + ")"


_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
_MICROSECOND = datetime.resolution

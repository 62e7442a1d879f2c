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
from tailrace.packs.explore import Kind
from tailrace.search.fields import LEVELS, level_of
from tailrace.search.nearest import nearest
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
from tailrace.search.table import Table, usual_table
from tailrace.search.times import parse_moment

ParameterValue = str | float | int | list[str] | list[int]

_TOKEN = re.compile(r"[0-9A-Za-z]+", re.ASCII)
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
_WHOLE = re.compile(r"-?\d{1,76}", re.ASCII)
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


def compile_search(
    text: str, parameters: Parameters, now: datetime, table: Table | None = None
) -> str:
    """The condition of a search of `table`, by default that of logs; relative times in it are seen
    from `now`.

    Raises QueryError, with its place, for a search that cannot be understood.
    """
    return _Compiler(text, parameters, now, table or usual_table()).condition(parse(text))


@dataclass
class _Compiler:
    text: str
    parameters: Parameters
    now: datetime
    table: Table

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
                return self._anywhere(value) if name is None else self._equals(name, value)
            case Regex(name, pattern, position):
                return self._regex(name, pattern, position)
            case Exists(name):
                return self._exists(name)
            case Compare(name, operator, value):
                return self._compare(name, operator, value)
            case Range():
                return self._range(node)
            case _:
                assert_never(node)

    def _kind(self, name: str, position: int = 0) -> tuple[str | None, Kind | None]:
        """The column that a field means, with its kind; None for an attribute.

        In a table without attributes an unknown name is a mistake.
        """
        column = self.table.column_of(name)
        if column is not None:
            return column, self.table.fields[column]
        if self.table.attributes is None:
            known = sorted(self.table.known_names())
            meant = nearest(name, known) or known
            raise QueryError(
                f"cannot search the field {name!r}: {self.table.name} has none of that name, but "
                + ", ".join(meant),
                text=self.text,
                position=position,
            )
        return None, None

    def _texts(self, position: int) -> tuple[str, ...]:
        """The columns that words without a field are looked for in."""
        if not self.table.explore.text:
            known = ", ".join(self.table.fields)
            raise QueryError(
                f"cannot search {self.table.name} for a word alone: write a field before it, as "
                f"in field:word; there are {known}",
                text=self.text,
                position=position,
            )
        return self.table.explore.text

    def _anywhere(self, value: Value) -> str:
        return _any_of([self._words(column, value) for column in self._texts(value.position)])

    def _words(self, column: str, value: Value) -> str:
        """Whole words, without regard to case; with wildcards, any place they allow."""
        if self.table.fields[column] != "message":
            column = f"toString({column})"
        literal = value.literal
        if literal is None:
            return self._word_pattern(column, value)
        tokens = _ascii_tokens(literal)
        exact = len(tokens) == 1 and tokens[0] == literal.lower()
        conditions = []
        if tokens:
            placeholder = self.parameters.bind(tokens, "Array(String)")
            conditions.append(f"hasAllTokens(lower({column}), {placeholder})")
        if not exact:
            pattern = _word_pattern(re.escape(literal), literal, literal)
            conditions.append(f"match({column}, {self.parameters.text(pattern)})")
        return _all_of(conditions)

    def _word_pattern(self, column: str, value: Value) -> str:
        first, *inner, last = value.parts
        if not first and not last and len(inner) == 1:
            return f"positionCaseInsensitiveUTF8({column}, {self.parameters.text(inner[0])}) > 0"
        body = r"\S*".join(re.escape(part) for part in value.parts)
        pattern = _word_pattern(body, first, last)
        return f"match({column}, {self.parameters.text(pattern)})"

    def _regex(self, name: str | None, pattern: str, position: int) -> str:
        subjects = (
            [self._text_of(name)]
            if name is not None
            else [
                column if self.table.fields[column] == "message" else f"toString({column})"
                for column in self._texts(position)
            ]
        )
        return _any_of(
            [f"match({subject}, {self.parameters.text(pattern)})" for subject in subjects]
        )

    def _equals(self, name: str, value: Value) -> str:
        column, kind = self._kind(name, value.position)
        if column is not None and kind == "message":
            return self._words(column, value)
        if kind in ("moment", "second"):
            return f"{column} = {self._moment(value)}"
        literal = value.literal
        if literal is None:
            return self._like(name, kind, value)
        if column is None:
            return self._has_attribute(self.table.attribute_of(name), literal)
        if kind == "number":
            return self._compare_number(column, "=", value)
        typed = level_of(literal) if kind == "level" else literal
        return f"{column} = {self.parameters.text(typed)}"

    def _has_attribute(self, name: str, value: str) -> str:
        items = self.table.explore.attribute_items
        if items is None:
            subject = f"{self.table.attributes}[{self.parameters.text(name)}]"
            return f"{subject} = {self.parameters.text(value)}"
        return f"has({items}, {self.parameters.text(f'{name}={value}')})"

    def _like(self, name: str, kind: Kind | None, value: Value) -> str:
        pattern = "%".join(_escape_like(part) for part in value.parts)
        if kind == "level":
            pattern = pattern.upper()
        return f"{self._text_of(name)} LIKE {self.parameters.text(pattern)}"

    def _exists(self, name: str) -> str:
        column, kind = self._kind(name)
        if column is None:
            name = self.parameters.text(self.table.attribute_of(name))
            return f"mapContains({self.table.attributes}, {name})"
        return "1" if kind in ("moment", "second", "number") else f"{column} != ''"

    def _compare(self, name: str, operator: Operator, value: Value) -> str:
        column, kind = self._kind(name, value.position)
        if kind in ("moment", "second"):
            return f"{column} {operator} {self._moment(value)}"
        if column is not None and kind == "level":
            return self._level_compare(column, operator, value)
        if column is not None and kind == "number":
            return self._compare_number(column, operator, value)
        number = _number(value)
        if number is not None:
            placeholder = self.parameters.bind(number, "Float64")
            subject = f"toFloat64OrNull({self._text_of(name)})"
            return f"ifNull({subject} {operator} {placeholder}, 0)"
        text = self._text_of(name)
        return f"({text} != '' AND {text} {operator} {self.parameters.text(value.text)})"

    def _compare_number(self, column: str, operator: str, value: Value) -> str:
        """Whole numbers compare as such, however large; others as Float64."""
        number = _number(value)
        if number is None:
            raise QueryError(
                f"cannot compare {self.table.label(column)} with {value.text!r}: it is a number",
                text=self.text,
                position=value.position,
            )
        if _WHOLE.fullmatch(value.text):
            whole = int(value.text)
            kind = "Int128" if abs(whole) < 2**127 else "Int256"
            # JSON, in which parameters are shown, has no whole numbers beyond 64 bits.
            shown = whole if abs(whole) < 2**63 else value.text
            return f"{column} {operator} {self.parameters.bind(shown, kind)}"
        return f"toFloat64({column}) {operator} {self.parameters.bind(number, 'Float64')}"

    def _level_compare(self, column: str, operator: Operator, value: Value) -> str:
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
        return f"{column} IN {self.parameters.bind(list(chosen), 'Array(String)')}"

    def _range(self, node: Range) -> str:
        ends = []
        if node.low is not None:
            ends.append(self._compare(node.field, ">=" if node.low_included else ">", node.low))
        if node.high is not None:
            ends.append(self._compare(node.field, "<=" if node.high_included else "<", node.high))
        return _all_of(ends) if ends else self._exists(node.field)

    def _text_of(self, name: str) -> str:
        """SQL for a field's text: a column of the table or an attribute by a bound name."""
        column, kind = self._kind(name)
        if column is None:
            name = self.parameters.text(self.table.attribute_of(name))
            return f"{self.table.attributes}[{name}]"
        return f"toString({column})" if kind in ("moment", "second", "number") else str(column)

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


def _any_of(conditions: list[str]) -> str:
    return conditions[0] if len(conditions) == 1 else "(" + " OR ".join(conditions) + ")"


def _all_of(conditions: list[str]) -> str:
    return conditions[0] if len(conditions) == 1 else "(" + " AND ".join(conditions) + ")"


_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
_MICROSECOND = datetime.resolution

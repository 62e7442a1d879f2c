"""The search language: text in, a tree of `syntax` nodes out, or a QueryError with its place.

    query   = any ;
    any     = all { "OR" all } ;
    all     = single { [ "AND" ] single } ;
    single  = { "NOT" | "-" } ( "(" any ")" | field ":" value | term ) ;
    term    = word | '"' phrase '"' | "/" regex "/" ;
    value   = term | ( ">" | ">=" | "<" | "<=" ) word | "*" | "(" any ")"
            | ( "[" | "{" ) word "TO" word ( "]" | "}" ) ;

`*` in a word is a wildcard and a backslash takes the next character as it is. Inside the
parentheses of `field:( … )` every term is a value of that field. `parse` ends on every text: its
depth and its number of terms are bounded, because a search comes from whoever can reach the page.
"""

import re
from typing import Final, NoReturn

from tailrace.errors import QueryError
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

MAX_CHARACTERS: Final = 4_000
MAX_TERMS: Final = 200
MAX_DEPTH: Final = 40

_FIELD = re.compile(r"([A-Za-z_@][\w.@/-]*):(?!//)", re.ASCII)
_REGEX = re.compile(r"/((?:[^/\\]|\\.)+)/(?=[\s)]|$)", re.DOTALL)
_FIELD_REGEX = re.compile(r"/((?:[^/\\\s]|\\\S)+)/(?=[\s)]|$)")
_OPERATOR = re.compile(r"(>=|<=|>|<)")
_SURROGATE = re.compile("[\ud800-\udfff]")
_DELIMITERS = frozenset(' \t\r\n\v\f()"|')


def parse(text: str) -> Node:
    """The tree of a search; `Everything` for an empty one."""
    if len(text) > MAX_CHARACTERS:
        raise QueryError(
            f"cannot read a search of {len(text)} characters: {MAX_CHARACTERS} are allowed",
            text=text[:80],
        )
    unreadable = _SURROGATE.search(text)
    if unreadable:
        raise QueryError(
            "cannot read this search: it is not valid UTF-8",
            text=text.encode(errors="replace").decode(),
            position=unreadable.start(),
        )
    return _Parser(text).query()


class _Parser:
    """Recursive descent over the text; `_at` is the next character to be read."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._terms = 0

    def query(self) -> Node:
        self._skip_space()
        if self._at == len(self._text):
            return Everything()
        node = self._any(None, 0)
        if self._at < len(self._text):
            self._fail_at_rest()
        return node

    def _any(self, field: str | None, depth: int) -> Node:
        nodes = [self._all(field, depth)]
        while self._keyword("OR"):
            nodes.append(self._all(field, depth))
        return nodes[0] if len(nodes) == 1 else Or(tuple(nodes))

    def _all(self, field: str | None, depth: int) -> Node:
        nodes = [self._single(field, depth)]
        while True:
            if not self._keyword("AND") and (self._at_end_of_group() or self._next_is("OR")):
                break
            nodes.append(self._single(field, depth))
        return nodes[0] if len(nodes) == 1 else And(tuple(nodes))

    def _single(self, field: str | None, depth: int) -> Node:
        negated = False
        while self._keyword("NOT") or self._minus():
            negated = not negated
        node = self._plain(field, depth)
        return Not(node) if negated else node

    def _plain(self, field: str | None, depth: int) -> Node:
        self._skip_space()
        self._count_term()
        if self._next_is("OR") or self._next_is("AND"):
            self._fail("cannot read on: expected a word, a phrase or field:value", self._at)
        if self._peek() == "(":
            return self._group(field, depth)
        if field is not None:
            return self._field_value(field, depth)
        name = self._field_name()
        if name is not None:
            return self._field_value(name, depth)
        return self._term()

    def _group(self, field: str | None, depth: int) -> Node:
        opened = self._at
        if depth >= MAX_DEPTH:
            self._fail(f"cannot read parentheses more than {MAX_DEPTH} deep", opened)
        self._at += 1
        node = self._any(field, depth + 1)
        if self._peek() != ")":
            self._fail("cannot find the ')' of this '('", opened)
        self._at += 1
        self._skip_space()
        return node

    def _term(self) -> Node:
        position = self._at
        found = _REGEX.match(self._text, self._at)
        if found:
            self._at = found.end()
            self._skip_space()
            return Regex(None, found.group(1), position)
        value = self._value("a word, a phrase in double quotes or field:value")
        return Everything() if value.parts == ("", "") else Match(None, value)

    def _field_name(self) -> str | None:
        """The name before a colon, which may be quoted; the colon is consumed."""
        if self._peek() == '"':
            start = self._at
            name = self._quoted()
            if self._peek() == ":":
                self._at += 1
                return name
            self._at = start
            return None
        found = _FIELD.match(self._text, self._at)
        if not found:
            return None
        self._at = found.end()
        return found.group(1)

    def _field_value(self, field: str, depth: int) -> Node:
        position = self._at
        if self._peek() == "(":
            return self._group(field, depth)
        if self._peek() in ("[", "{"):
            return self._range(field)
        operator = _OPERATOR.match(self._text, self._at)
        if operator:
            self._at = operator.end()
            value = self._value(f"a value after '{field}:{operator.group()}'")
            return Compare(field, _as_operator(operator.group()), value)
        pattern = _FIELD_REGEX.match(self._text, self._at)
        if pattern:
            self._at = pattern.end()
            self._skip_space()
            return Regex(field, pattern.group(1), position)
        value = self._value(
            f"a value after '{field}:'. To search for the text itself, put it in double quotes"
        )
        return Exists(field) if value.parts == ("", "") else Match(field, value)

    def _range(self, field: str) -> Node:
        opened = self._at
        low_included = self._text[opened] == "["
        self._at += 1
        low = self._bound()
        if not self._keyword("TO"):
            self._fail("cannot read this range: expected TO, as in [200 TO 299]", self._at)
        high = self._bound()
        closing = self._peek()
        if closing not in ("]", "}"):
            self._fail("cannot find the ']' or '}' of this range", opened)
        self._at += 1
        self._skip_space()
        return Range(field, low, high, low_included, closing == "]")

    def _bound(self) -> Value | None:
        self._skip_space()
        value = self._value("a value, or * for an open end", also=frozenset("]}"))
        return None if value.parts == ("", "") else value

    def _value(self, expected: str, *, also: frozenset[str] = frozenset()) -> Value:
        """A phrase or word; `also` are further characters that end a word."""
        position = self._at
        if self._peek() == '"':
            value = Value((self._quoted(),), position, quoted=True)
        else:
            value = self._word(also)
            if value.parts == ("",):
                self._fail(f"cannot read on: expected {expected}", self._at)
        self._skip_space()
        return value

    def _word(self, also: frozenset[str]) -> Value:
        position = self._at
        parts = [""]
        while self._at < len(self._text):
            character = self._text[self._at]
            if character in _DELIMITERS or character in also or character.isspace():
                break
            if character == "*":
                parts.append("")
            elif character == "\\" and self._at + 1 < len(self._text):
                self._at += 1
                parts[-1] += self._text[self._at]
            else:
                parts[-1] += character
            self._at += 1
        return Value(_without_doubled_wildcards(parts), position)

    def _quoted(self) -> str:
        opened = self._at
        characters: list[str] = []
        self._at += 1
        while self._at < len(self._text):
            character = self._text[self._at]
            if character == '"':
                self._at += 1
                return "".join(characters)
            if character == "\\" and self._text[self._at + 1 : self._at + 2] in ('"', "\\"):
                self._at += 1
                character = self._text[self._at]
            characters.append(character)
            self._at += 1
        self._fail("cannot find the closing double quote of this phrase", opened)

    def _minus(self) -> bool:
        self._skip_space()
        following = self._text[self._at + 1 : self._at + 2]
        if self._peek() != "-" or not following or following.isspace() or following == ")":
            return False
        self._at += 1
        return True

    def _next_is(self, keyword: str) -> bool:
        self._skip_space()
        end = self._at + len(keyword)
        if self._text[self._at : end] != keyword:
            return False
        following = self._text[end : end + 1]
        return not following or following.isspace() or following in "()[]{}"

    def _keyword(self, keyword: str) -> bool:
        if not self._next_is(keyword):
            return False
        self._at += len(keyword)
        self._skip_space()
        return True

    def _at_end_of_group(self) -> bool:
        self._skip_space()
        return self._at >= len(self._text) or self._text[self._at] in ")|"

    def _skip_space(self) -> None:
        while self._at < len(self._text) and self._text[self._at].isspace():
            self._at += 1

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _count_term(self) -> None:
        self._terms += 1
        if self._terms > MAX_TERMS:
            self._fail(f"cannot read more than {MAX_TERMS} terms", self._at)

    def _fail_at_rest(self) -> NoReturn:
        if self._peek() == ")":
            self._fail("cannot find the '(' of this ')'", self._at)
        self._fail(
            "cannot read '|' here: to search for it, put it in double quotes",
            self._at,
        )

    def _fail(self, message: str, position: int) -> NoReturn:
        raise QueryError(message, text=self._text, position=position)


def _without_doubled_wildcards(parts: list[str]) -> tuple[str, ...]:
    """`**` says no more than `*`: drop the empty parts between wildcards."""
    inner = [part for part in parts[1:-1] if part]
    return (parts[0], *inner, parts[-1]) if len(parts) > 1 else (parts[0],)


def _as_operator(text: str) -> Operator:
    table: dict[str, Operator] = {">": ">", ">=": ">=", "<": "<", "<=": "<="}
    return table[text]

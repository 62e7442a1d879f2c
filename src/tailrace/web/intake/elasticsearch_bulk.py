"""Makes lines of JSON of Elasticsearch's `_bulk`: pairs of an action and a document.

    {"create": {"_index": "logs", "_id": "7"}}
    {"message": "started"}                          →  {"_index":"logs","_id":"7","message":"started"}

A document is not parsed: `_index` and `_id` are spliced in front of its bytes. All that is looked at
is that it begins with `{`. Each document is answered for by itself; an action line that cannot be
read makes it unclear what follows, and so the whole body is refused, as Elasticsearch does.
Format: https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-bulk
"""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import translate
from typing import Any

import orjson

from tailrace.web.intake.lines import BadBodyError, check_count, join

TAKEN = frozenset({"create", "index"})
REFUSED = frozenset({"update", "delete"})
MOST_KNOWN = 1000
"""Action lines that are remembered: a shipper writes the same one before each document."""

MOST_FILTER_CHARACTERS = 1000

_ID_MARK = b'"\\u0000"'


@dataclass(frozen=True)
class Bulk:
    """What a body holds."""

    payload: bytes
    has_errors: bool
    items: list[bytes]
    """The answer for each action, as JSON; those that the filter leaves empty are left out."""

    @property
    def answer_bytes(self) -> int:
        """What the items take in memory."""
        return sum(map(sys.getsizeof, self.items))


class AnswerFilter:
    """Elasticsearch's `filter_path`: which parts of an answer are wanted, as `items.*.status`.

    Raises BadBodyError for one of more than MOST_FILTER_CHARACTERS.
    """

    def __init__(self, filter_path: str = "") -> None:
        if len(filter_path) > MOST_FILTER_CHARACTERS:
            raise BadBodyError(
                f"cannot use a filter_path of {len(filter_path)} characters: "
                f"at most {MOST_FILTER_CHARACTERS}"
            )
        patterns = [pattern.strip() for pattern in filter_path.split(",") if pattern.strip()]
        self._wanted = _any_of(one for one in patterns if not one.startswith("-"))
        self._unwanted = _any_of(one[1:] for one in patterns if one.startswith("-"))
        self._known: dict[str, bool] = {}

    def wants(self, path: str) -> bool:
        """Whether the value at this path is part of the answer."""
        known = self._known.get(path)
        if known is None:
            is_named = not self._wanted or self._wanted.match(path) is not None
            known = is_named and not (self._unwanted and self._unwanted.match(path))
            self._known[path] = known
        return known

    def item(self, action: str, **fields: Any) -> bytes:
        """An item of the answer, as JSON; empty where nothing of it is wanted."""
        path = f"items.{action}"
        kept: dict[str, Any] = {}
        for name, value in fields.items():
            if isinstance(value, dict):
                inner = {k: v for k, v in value.items() if self.wants(f"{path}.{name}.{k}")}
                kept |= {name: inner} if inner else {}
            elif self.wants(f"{path}.{name}"):
                kept[name] = value
        return orjson.dumps({action: kept}) if kept else b""


def _any_of(patterns: Iterator[str]) -> re.Pattern[str] | None:
    """What one of the patterns means: what it names and everything below."""
    named = [translate(form) for one in patterns for form in (one, f"{one}.*")]
    # Not by fnmatch itself, which remembers thousands of patterns that anybody may send.
    return re.compile("|".join(f"(?:{one})" for one in named)) if named else None


class _Form:
    """What actions of one name and index have in common: the fields they add, and their answer."""

    def __init__(self, name: str, index: str, answer: AnswerFilter) -> None:
        self.name = name
        self._index = index
        self._answer = answer
        self._head = b"{%b," % orjson.dumps({"_index": index})[1:-1] if index else b""
        item = answer.item(name, _id="\0", _index=index, _version=1, result="created", status=201)
        self._before_id, self._mark, self._after_id = item.partition(_ID_MARK)

    def head(self, doc_id: bytes) -> bytes:
        """What goes in front of a document in place of its brace."""
        return b'%b"_id":%b,' % (self._head or b"{", doc_id) if doc_id else self._head

    def success(self, doc_id: bytes, token: bytes, number: int) -> bytes:
        """The answer to one that is taken; one without an id is given one, for some expect it."""
        if not self._mark:
            return self._before_id
        return self._before_id + (doc_id or b'"%b-%d"' % (token, number)) + self._after_id

    def refusal(self, doc_id: bytes, reason: str, kind: str) -> bytes:
        """The answer to one that is not."""
        return self._answer.item(
            self.name,
            _id=orjson.loads(doc_id) if doc_id else None,
            _index=self._index,
            status=400,
            error={"type": kind, "reason": reason},
        )


def _parse(line: bytes) -> tuple[str, str, str]:
    """An action's name, index and id; the last two may be empty."""
    try:
        action = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise BadBodyError(f"cannot read the action line {_short(line)}: {error}") from error
    if isinstance(action, dict) and len(action) == 1:
        ((name, metadata),) = action.items()
        if name in TAKEN | REFUSED and isinstance(metadata, dict | None):
            index, doc_id = (_text((metadata or {}).get(key)) for key in ("_index", "_id"))
            if index is not None and doc_id is not None:
                return name, index, doc_id
    raise BadBodyError(
        f"cannot read the action line {_short(line)}: write "
        '{"create": {}} or {"index": {}} and in the next line the document'
    )


def _text(value: object) -> str | None:
    """A name, which may be a number, or nothing; None where it is anything else."""
    if isinstance(value, str | int | None):
        return "" if value is None else str(value)
    return None


def _short(line: bytes) -> str:
    return repr(line[:100].decode("utf-8", "replace"))


def read_bulk(body: bytes, default_index: str, answer: AnswerFilter, token: str) -> Bulk:
    """The documents of a body, and what their senders are answered.

    `token` begins the ids of those that have none. Raises BadBodyError.
    """
    # Two lines each.
    check_count(body.count(b"\n") // 2)
    parts: list[bytes] = []
    items: list[bytes] = []
    errors = 0
    id_start = token.encode()
    lines = iter(body.split(b"\n"))
    for form, doc_id in _actions(lines, default_index, answer):
        if form.name in TAKEN:
            document = next(lines, b"").lstrip()
            if document.startswith(b"{"):
                _splice(form.head(doc_id), document, parts)
                items.append(form.success(doc_id, id_start, len(items)))
                continue
            reason = f"cannot take {_short(document)}: a document is a JSON object in one line"
            kind = "document_parsing_exception"
        else:
            if form.name == "update":
                next(lines, None)
            reason = f"cannot {form.name} an event: events are only ever added, by create or index"
            kind = "illegal_argument_exception"
        errors += 1
        items.append(form.refusal(doc_id, reason, kind))
    return Bulk(join(parts), errors > 0, [item for item in items if item])


def _actions(
    lines: Iterator[bytes], default_index: str, answer: AnswerFilter
) -> Iterator[tuple[_Form, bytes]]:
    """Each action's form and its id as JSON; whoever asks takes their documents from `lines`."""
    known: dict[bytes, _Form] = {}
    forms: dict[tuple[str, str], _Form] = {}
    for line in lines:
        form = known.get(line)
        if form is not None:
            yield form, b""
            continue
        if not line or line.isspace():
            continue
        name, index, doc_id = _parse(line)
        key = (name, index or default_index)
        form = forms.get(key)
        if form is None:
            if len(forms) >= MOST_KNOWN:
                forms.clear()
                known.clear()
            form = forms[key] = _Form(*key, answer)
        if not doc_id and len(known) < MOST_KNOWN:
            known[line] = form
        yield form, orjson.dumps(doc_id) if doc_id else b""


def _splice(head: bytes, document: bytes, parts: list[bytes]) -> None:
    """Put the document with `head` in front into `parts`, as a line."""
    if not head:
        parts += (document, b"\n")
    elif document.startswith(b'{"') or not document[1:].lstrip().startswith(b"}"):
        parts += (head, document[1:], b"\n")
    else:
        parts += (head[:-1], document[1:], b"\n")

"""Runs one VRL program over batches of events.

Guarantees: results come in the order of the events; an event that fails (error or abort) gives a
Failure in its place and has no effect on any other; nothing that an event contains ends the
process. A batch runs in one call where it can. Where an event of it fails, VRL stops the whole
call, so the batch is run again event by event, and the next batches are smaller until calls
succeed again.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import orjson
from vrl_python import VRLRuntime

from tailrace.collect.transform import Event, Timestamp
from tailrace.collect.vrl.lexer import calls_of, returns_early, uses_metadata
from tailrace.collect.vrl.nesting import NestingGuard
from tailrace.collect.vrl.wrap import MARK, RESULT, Restore, Wrapped, wrap

MAX_BATCH = 256
"""Events a call. Larger ones gain nothing (measured) and cost more to run again."""

_CALLS = re.compile(r'(?:function call error for "\w+" at \(\d+:\d+\): )+')
_PLACE = re.compile(r" at \((\d+):(\d+)\)")
# As wide as the number of the line below it.
_EXCERPT = re.compile(r"\n +┌─")
_TIMESTAMP_TEXT = re.compile(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d+)?) UTC")
_MARK_BYTES = orjson.dumps(MARK)


class Failure(NamedTuple):
    """An event that the program did not finish."""

    aborted: bool
    """By `abort`, rather than by an error."""
    message: str
    """Vector's `.metadata.dropped.message`."""


class Runner:
    """One wrapped program with a runtime of its own: a runtime that changes programs is slow."""

    def __init__(self, wrapped: Wrapped, timezone: str, foreign_bytes: int) -> None:
        self._text = wrapped.text
        self._first_byte = wrapped.first_byte + foreign_bytes
        self._last_byte = wrapped.last_byte
        self._runtime = VRLRuntime(timezone)

    def compiles(self) -> bool:
        """Whether the runtime takes it."""
        return self._runtime.check_syntax(self._text) is None

    def call(self, given: bytes) -> Any:
        """The result as JSON in bytes, or as it is where the program returned early; or Failure."""
        return self.call_with({"i": given.decode()})

    def call_with(self, given: dict[str, Any]) -> Any:
        """The same, for a program that wants more than one text."""
        try:
            event: Any = self._runtime.execute(self._text, given).processed_event
        except (RuntimeError, ValueError) as error:
            return self._failure(str(error))
        if isinstance(event, dict) and RESULT in event:
            return str(event[RESULT]).encode()
        return event

    def _failure(self, diagnostics: str) -> Failure:
        headline = _EXCERPT.split(diagnostics.strip(), maxsplit=1)[0]
        message = headline.removeprefix("error[E000]: ").strip()
        if re.search(r"│ +\^{5} aborted$", diagnostics, re.MULTILINE):
            return Failure(True, message)
        return Failure(False, self._at_home(message))

    def _at_home(self, message: str) -> str:
        """The message with places that count from the user's first byte."""
        calls = _CALLS.match(message)
        places = _PLACE.findall(calls[0]) if calls else []
        if not calls or not places:
            return message
        first = int(places[0][0])
        if first < self._first_byte:
            return f"cannot read the event: {message[calls.end() :]}"
        if first >= self._last_byte:
            return f"cannot read the result: {message[calls.end() :]}"
        moved = _PLACE.sub(
            lambda place: (
                f" at ({int(place[1]) - self._first_byte}:{int(place[2]) - self._first_byte})"
            ),
            calls[0],
        )
        return moved + message[calls.end() :]


class Program:
    """A compiled program; it must have passed `tailrace.collect.vrl.check`.

    `typed` keeps timestamps apart from text on the way out. `foreign_bytes` is how much of the
    source's beginning the user did not write; places in messages do not count it.
    """

    def __init__(
        self, source: str, *, timezone: str = "UTC", typed: bool = True, foreign_bytes: int = 0
    ) -> None:
        self._source = source
        self._timezone = timezone
        self._typed = typed
        self._foreign_bytes = foreign_bytes
        self._early_return = returns_early(source)
        self._batchable = not self._early_return and not uses_metadata(source)
        self._guard = NestingGuard({name for name, _ in calls_of(source)})
        self._runners: dict[tuple[Restore, bool], Runner] = {}
        self._batch_size = MAX_BATCH
        self._batchable = self._batchable and self._runner(Restore.NOWHERE, batch=True).compiles()

    def run(self, events: Sequence[Event]) -> list[Any]:
        """What `.` is after the program, an event each, or a Failure."""
        results: list[Any] = []
        start = 0
        while start < len(events):
            chunk = events[start : start + self._batch_size]
            results.extend(self._run_chunk(chunk))
            start += len(chunk)
        return results

    def _run_chunk(self, chunk: Sequence[Event]) -> list[Any]:
        if self._batchable and self._batch_size > 1:
            results = self._run_together(chunk)
            if results is not None:
                self._batch_size = min(self._batch_size * 2, MAX_BATCH)
                return results
        results = [self._run_alone(event) for event in chunk]
        failed = any(isinstance(result, Failure) for result in results)
        self._batch_size = max(self._batch_size // 2, 1) if failed else self._grown()
        return results

    def _grown(self) -> int:
        return min(self._batch_size * 2, MAX_BATCH)

    def _run_together(self, events: Sequence[Event]) -> list[Any] | None:
        """One call for all; None where one of them fails."""
        try:
            restore, given = _as_text(events)
        except TypeError:
            return None
        if self._guard.refusal(given):
            return None
        result = self._runner(restore, batch=True).call(given)
        if not isinstance(result, bytes):
            return None
        try:
            return self._load(result)
        except orjson.JSONDecodeError:
            return None

    def _run_alone(self, event: Event) -> Any:
        try:
            restore, given = _as_text([event])
        except TypeError as error:
            return Failure(False, f"cannot read the event: {error}")
        refusal = self._guard.refusal(given)
        if refusal:
            return Failure(False, refusal)
        result = self._runner(restore, batch=False).call(given[1:-1])
        if isinstance(result, Failure):
            return result
        try:
            if isinstance(result, bytes):
                return self._load(b"[" + result + b"]")[0]
            orjson.dumps(result)
            return _with_timestamps(result)
        except (orjson.JSONDecodeError, orjson.JSONEncodeError) as error:
            return Failure(False, f"cannot read the result: {error}")

    def _load(self, text: bytes) -> list[Any]:
        results: list[Any] = orjson.loads(text)
        if not self._typed:
            return results
        if _MARK_BYTES in text:
            return [_unmark(result[0]) for result in results]
        return [result[0] for result in results]

    def _runner(self, restore: Restore, *, batch: bool) -> Runner:
        runner = self._runners.get((restore, batch))
        if runner is None:
            wrapped = wrap(self._source, restore=restore, typed=self._typed, batch=batch)
            runner = self._runners[restore, batch] = Runner(
                wrapped, self._timezone, self._foreign_bytes
            )
        return runner


def _as_text(events: Sequence[Event]) -> tuple[Restore, bytes]:
    """The events as a JSON array, and what it takes to get their timestamps back."""
    paths = [_timestamp_paths(event) for event in events]
    if not any(paths):
        return Restore.NOWHERE, orjson.dumps(events)
    if all(found == [["timestamp"]] for found in paths):
        return Restore.AT_ROOT, orjson.dumps(events)
    pairs = [{"event": event, "paths": found} for event, found in zip(events, paths, strict=True)]
    return Restore.ANYWHERE, orjson.dumps(pairs)


def _timestamp_paths(value: Any) -> list[list[str | int]]:
    items = value.items() if type(value) is dict else enumerate(value)
    found: list[list[str | int]] = []
    for key, child in items:
        kind = type(child)
        if kind is Timestamp or kind is datetime:
            found.append([key])
        elif kind is dict or kind is list:
            found.extend([key, *rest] for rest in _timestamp_paths(child))
    return found


def _unmark(value: Any) -> Any:
    """Turn marked timestamps into Timestamp, at any depth."""
    if type(value) is dict:
        if len(value) == 1 and MARK in value:
            return Timestamp(value[MARK])
        return {key: _unmark(child) for key, child in value.items()}
    if type(value) is list:
        return [_unmark(child) for child in value]
    return value


def _with_timestamps(value: Any) -> Any:
    """Give timestamps their RFC 3339 form where the runtime itself made text of them.

    That is so only after a `return`. Text that a program wrote in the same form is taken for one.
    """
    if isinstance(value, dict):
        return {key: _with_timestamps(child) for key, child in value.items()}
    if isinstance(value, list):
        return [_with_timestamps(child) for child in value]
    match = _TIMESTAMP_TEXT.fullmatch(value) if isinstance(value, str) else None
    return Timestamp(f"{match[1]}T{match[2]}Z") if match else value

"""Finds the frames in the body of a request.

JSON may come as one object (in one line or in many), as an array, or as lines; the good lines are
kept exactly as they came, byte for byte, and each bad one is told with its reason. So much is
common to every source whose peers send JSON in a request.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import orjson

from tailrace.collect.codec import DecodeError

Decode = Callable[[bytes], list[dict[str, Any]]]


MOST_REJECTED = 100_000
"""Bad lines that a body may hold: each takes far more memory than it has bytes."""


class TooManyRejectedError(ValueError):
    """A body that is hardly JSON lines at all; nothing of it is kept."""


@dataclass
class Body:
    """What a body holds: complete lines, and what can be none."""

    payload: bytearray = field(default_factory=bytearray)
    """The lines, each with its newline, in one piece: they may be millions."""
    count: int = 0
    """Number of lines."""
    rejected: list[tuple[bytes, str]] = field(default_factory=list)

    def add(self, lines: Iterable[bytes]) -> None:
        """Take more lines."""
        for line in lines:
            self.payload += line
            self.payload += b"\n"
            self.count += 1

    def give_up_longer(self, max_length: int) -> None:
        """Reject the lines of more bytes than that."""
        lines = bytes(self.payload).split(b"\n")[:-1]
        if max(map(len, lines), default=0) <= max_length:
            return
        self.payload, self.count = bytearray(), 0
        self.add(line for line in lines if len(line) <= max_length)
        for line in lines:
            if len(line) > max_length:
                self.reject(line, "line too long")

    def reject(self, line: bytes, reason: str) -> None:
        """Take a line that can be none."""
        if len(self.rejected) == MOST_REJECTED:
            raise TooManyRejectedError(
                f"cannot read the body: more than {MOST_REJECTED} of its lines are bad, "
                f"as this one: {reason}"
            )
        self.rejected.append((line, reason))


def read_json_body(body: bytes, decode: Decode) -> Body:
    """The frames of `body`; `decode` says whether one is sound."""
    found = Body()
    for line in BytesIO(body):
        text = line.strip()
        if not text:
            continue
        try:
            found.add(_frames(text, decode))
        except DecodeError as error:
            if not found.count and not found.rejected:
                document = _read_document(body, decode)
                if document:
                    return document
            found.reject(line.removesuffix(b"\n"), error.reason)
    return found


def read_lines_body(body: bytes) -> Body:
    """The lines of `body`, whatever they hold."""
    found = Body()
    found.add(line.removesuffix(b"\n") for line in BytesIO(body) if line.strip())
    return found


def _frames(text: bytes, decode: Decode) -> list[bytes]:
    events = decode(text)
    if text.startswith(b"{"):
        return [text]
    return [orjson.dumps(event) for event in events]


def _read_document(body: bytes, decode: Decode) -> Body | None:
    """`body` as one document of several lines; None where it is not one.

    A newline inside JSON stands between tokens (in a string it is written as an escape), so blanks
    in their places leave the document as it was, in one line.
    """
    found = Body()
    try:
        found.add(_frames(body.replace(b"\r", b" ").replace(b"\n", b" ").strip(), decode))
    except DecodeError:
        return None
    return found

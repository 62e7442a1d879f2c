"""Finds the frames in the body of a request.

JSON may come as one object (in one line or in many), as an array, or as lines; the good lines are
kept exactly as they came, byte for byte, and each bad one is told with its reason. So much is
common to every source whose peers send JSON in a request.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson

from tailrace.collect.codec import DecodeError

Decode = Callable[[bytes], list[dict[str, Any]]]


@dataclass
class Body:
    """What a body holds: complete lines, and what can be none."""

    lines: list[bytes] = field(default_factory=list)
    rejected: list[tuple[bytes, str]] = field(default_factory=list)

    @property
    def payload(self) -> bytes:
        """The lines, each with its newline."""
        return b"\n".join([*self.lines, b""])


def read_json_body(body: bytes, decode: Decode) -> Body:
    """The frames of `body`; `decode` says whether one is sound."""
    found = Body()
    for line in body.split(b"\n"):
        text = line.strip()
        if not text:
            continue
        try:
            found.lines += _frames(text, decode)
        except DecodeError as error:
            if not found.lines and not found.rejected:
                document = _read_document(body, decode)
                if document:
                    return document
            found.rejected.append((line, error.reason))
    return found


def read_lines_body(body: bytes) -> Body:
    """The lines of `body`, whatever they hold."""
    return Body([line for line in body.split(b"\n") if line.strip()])


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
    try:
        return Body(_frames(body.replace(b"\r", b" ").replace(b"\n", b" ").strip(), decode))
    except DecodeError:
        return None

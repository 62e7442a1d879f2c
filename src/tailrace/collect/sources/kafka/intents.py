"""What is written beside a group's offset of a partition: which batches may be on their way.

Kafka keeps some text with each offset that a group has committed. There stands what will be done
before it is done: `tailrace1 100-250:3f2a9c… 250-300:77b1d0…` beside the offset 100 says that the
messages from 100 on, before 250, are or will be one batch that is known by that mark, and the next
50 another. Whoever has the partition next, after a crash or a rebalance, makes exactly these batches
again under the same names, and only then new ones.

The mark is random. So nothing is taken for a repetition that is none: not a topic that was deleted
and made anew, whose offsets begin at 0 again, and not what somebody wants to read once more who has
set the group's offsets back.
"""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass

FIRST_WORD = "tailrace1"
MARK_BYTES = 6
MOST_INTENTS = 8
"""Beside one offset; brokers keep no more than 4096 bytes there, unless they are told otherwise."""


@dataclass(frozen=True, slots=True)
class Intent:
    """The messages from `first` on, before `end`, are one batch."""

    first: int
    end: int
    mark: str

    @classmethod
    def new(cls, first: int, end: int) -> "Intent":
        """With a mark of its own."""
        return cls(first, end, secrets.token_hex(MARK_BYTES))


def write(intents: Iterable[Intent]) -> str:
    """The text; empty where there are none."""
    words = [f"{one.first}-{one.end}:{one.mark}" for one in intents]
    return " ".join([FIRST_WORD, *words]) if words else ""


def read(text: str | None) -> list[Intent]:
    """The intents in a text; none where somebody else wrote it."""
    first_word, *words = (text or "").split(" ")
    if first_word != FIRST_WORD:
        return []
    try:
        return [_read_one(word) for word in words]
    except ValueError:
        return []


def _read_one(word: str) -> Intent:
    span, _, mark = word.partition(":")
    first, _, end = span.partition("-")
    return Intent(int(first), int(end), mark)

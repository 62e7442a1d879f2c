"""What is written beside a group's offset of a partition: which batches may be on their way.

Kafka keeps some text with each offset that a group has committed. There stands what will be done
before it is done: `tailrace1 100-250:3f2a9c… 250-300:77b1d0…` beside the offset 100 says that the
messages from 100 on, before 250, are or will be one batch that is known by that mark, and the next
50 another. Whoever has the partition next, after a crash or a rebalance, makes exactly these batches
again under the same names, and only then new ones.

The mark is random. So nothing is taken for a repetition that is none: not a topic that was deleted
and made anew, whose offsets begin at 0 again, and not what somebody wants to read once more who has
set the group's offsets back. It ends with the time at which the batch was made first. That is the time
of arrival of its rows, whoever stores them: so it does not matter to the books of collectors
(`tailrace.collect.ledger`) which of two deliveries was the one that the table kept.
"""

import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass

FIRST_WORD = "tailrace1"
RANDOM_BYTES = 6
TIME_DIGITS = 12
"""Hexadecimal; enough until the year 10889."""
OLDEST_MS = 12 * 3600 * 1000
"""What was announced before that is new, if it comes now: rows past their retention, which may be a day,
would be dropped as soon as they are stored."""
MOST_INTENTS = 8
"""Beside one offset; brokers keep no more than 4096 bytes there, unless they are told otherwise."""


_INTENT = re.compile(r"([0-9]{1,19})-([0-9]{1,19}):([0-9a-f]+)")


@dataclass(frozen=True, slots=True)
class Intent:
    """The messages from `first` on, before `end`, are one batch."""

    first: int
    end: int
    mark: str

    @classmethod
    def new(cls, first: int, end: int, now_ms: int) -> "Intent":
        """With a mark of its own."""
        return cls(first, end, f"{secrets.token_hex(RANDOM_BYTES)}{now_ms:0{TIME_DIGITS}x}")

    def arrival_ms(self, now_ms: int) -> int:
        """When the batch was made first; now, where the mark does not tell or it is too long ago."""
        if len(self.mark) != 2 * RANDOM_BYTES + TIME_DIGITS:
            return now_ms
        made_at_ms = int(self.mark[-TIME_DIGITS:], 16)
        return made_at_ms if now_ms - made_at_ms < OLDEST_MS else now_ms


def write(intents: Iterable[Intent]) -> str:
    """The text; empty where there are none."""
    words = [f"{one.first}-{one.end}:{one.mark}" for one in intents]
    return " ".join([FIRST_WORD, *words]) if words else ""


def read(text: str | None, offset: int) -> list[Intent]:
    """The intents in a text beside an offset; none where somebody else wrote it.

    Tools that copy a group's offsets to another cluster take the text along, which speaks of other
    messages there: what is ours begins at the offset that it stands beside.
    """
    first_word, *words = (text or "").split(" ")
    found = [_INTENT.fullmatch(word) for word in words]
    if first_word != FIRST_WORD or not found:
        return []
    intents = [Intent(int(one[1]), int(one[2]), one[3]) for one in found if one]
    at = offset
    for intent in intents:
        if intent.first < at or intent.end <= intent.first:
            return []
        at = intent.end
    return intents if len(intents) == len(found) and intents[0].first == offset else []

"""Makes the messages of chains, one a step, and says where they go.

    {"Number":27,"Step":0,"Value":27}

Numbers are drawn evenly from 1 to 99,999,999,999,999, and one chain follows the other. The same seed
and rate make the same messages, which hold no times. The message's key is the number, its partition
the number's remainder by the count of partitions: a chain's messages stay in their order.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain as joined
from itertools import islice
from typing import Final

from tailrace.packs.collatz.chains import LARGEST_START, chain
from tailrace.packs.variables import Value
from tailrace.settings import Settings

CHUNK_SECS: Final = 1.0
CHUNK_MIN_EVENTS: Final = 20
CHUNK_MAX_EVENTS: Final = 5000
_BEFORE_NUMBER: Final = len('{"Number":')


@dataclass(frozen=True)
class Chunk:
    """Messages as lines."""

    lines: list[str]
    offsets: Sequence[float]
    secs: float

    def render(self, _start_ns: int, _secs: float) -> list[str]:
        """The lines; they are the same at any time."""
        return self.lines


class ChainGenerator:
    """An endless stream of chunks of messages, evenly spread over time."""

    def __init__(self, seed: int | None, events_per_sec: float) -> None:
        self._random = random.Random(seed)  # noqa: S311 (numbers, not secrets)
        count = int(min(max(events_per_sec * CHUNK_SECS, CHUNK_MIN_EVENTS), CHUNK_MAX_EVENTS))
        self._secs = count / events_per_sec
        self._offsets = [number / count for number in range(count)]

    def chunks(self) -> Iterator[Chunk]:
        """Chunk after chunk, forever; chains go on from one to the next."""
        lines = joined.from_iterable(messages_of(number) for number in self._numbers())
        while True:
            yield Chunk(list(islice(lines, len(self._offsets))), self._offsets, self._secs)

    def _numbers(self) -> Iterator[int]:
        while True:
            yield self._random.randint(1, LARGEST_START)


def messages_of(number: int) -> Iterator[str]:
    """The messages of a number's chain, as lines."""
    head = f'{{"Number":{number},"Step":'
    for step, value in enumerate(chain(number)):
        yield f'{head}{step},"Value":{value}}}\n'


def key_of(line: str) -> tuple[bytes, int]:
    """Key and partition of a message: its number, as text and as it is."""
    number = line[_BEFORE_NUMBER : line.index(",")]
    return number.encode(), int(number)


def demo_target(settings: Settings, values: Mapping[str, Value]) -> str:
    """Through Kafka where there is a broker, else straight into the collector."""
    if not settings.bootstrap_servers:
        return f"tcp://{values['collatz_tcp']}"
    return (
        f"kafka://{settings.bootstrap_servers}/{values['topic']}"
        f"?partitions={values['partitions']}&replication_factor={values['replication_factor']}"
    )


def entrance(settings: Settings, values: Mapping[str, Value]) -> str:
    """Where messages come in, for people."""
    tcp = f"TCP {values['collatz_tcp']}"
    if not settings.bootstrap_servers:
        return f"{tcp}; no broker of Kafka: BOOTSTRAP_SERVERS names none"
    return (
        f"Kafka {settings.bootstrap_servers}, topic {values['topic']}, "
        f"group {values['group_id']}; {tcp}"
    )

"""Lumberjack: any bytes, however cut; what is sound before them stays sound."""

from tailrace.collect.lumberjack import LumberjackReader
from tests.fuzz.samples import LUMBERJACK, lumberjack

SEEDS = LUMBERJACK
GOOD = b'{"message":"good"}'


def fuzz(data: bytes) -> None:
    """In one piece and in several it says the same, and begins with the good event."""
    stream = lumberjack(GOOD) + data
    whole = LumberjackReader().feed(stream)
    assert whole.documents[0] == GOOD
    reader = LumberjackReader()
    documents: list[bytes] = []
    step = max(1, len(stream) // 4)
    for start in range(0, len(stream), step):
        heard = reader.feed(stream[start : start + step])
        documents += heard.documents
        if heard.problem:
            break
    assert documents == whole.documents

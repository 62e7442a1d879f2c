"""The chains of the Collatz conjecture.

Step 0 of a chain is the number itself. An even value is halved, an odd one becomes three times itself
and one; a chain ends with the first 1. The steps of a number are those that lead there: 27 has 111, in
112 messages. Python's integers have no end, and values need that: 64848224337147 reaches
1274106920208158465786267728, which takes 91 bits.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

LARGEST_START: Final = 99_999_999_999_999
"""The largest number that the generator draws."""
LARGEST_NUMBER: Final = 2**64 - 1
"""The largest number whose chain can be stored."""
LARGEST_VALUE: Final = 10**38 - 1
"""The largest value that can be stored; no chain of a number up to 10^19 is known to come near."""


def chain(number: int) -> Iterator[int]:
    """The values from step 0 on, to the first 1."""
    if number < 1:
        raise ValueError(f"cannot follow {number}: a chain begins at 1 or above")
    value = number
    yield value
    while value != 1:
        value = value * 3 + 1 if value & 1 else value >> 1
        yield value


@dataclass(frozen=True)
class Finding:
    """What is stored of a chain, held against what it is."""

    values: list[int]
    """The chain as it is."""
    missing: list[int]
    """Steps that are not stored."""
    wrong: list[tuple[int, list[int]]]
    """Steps, and values stored at them that do not belong there."""

    @property
    def steps(self) -> int:
        """Steps to the first 1."""
        return len(self.values) - 1

    @property
    def highest(self) -> int:
        """The highest value."""
        return max(self.values)


def check(number: int, stored: Mapping[int, list[int]]) -> Finding:
    """Hold the values that are stored at each step against the chain of `number`."""
    values = list(chain(number))
    right = dict(enumerate(values))
    missing = [step for step, value in right.items() if value not in stored.get(step, ())]
    wrong = [
        (step, others)
        for step, found in sorted(stored.items())
        if (others := [value for value in found if value != right.get(step)])
    ]
    return Finding(values, missing, wrong)

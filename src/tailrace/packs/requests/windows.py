"""Windows that end now, added up from whole hours and from the minutes at their edges.

A window is as long as its minutes, the one that is under way included. Three days of minutes would be
read for the longest, so whole hours are; the hour that a window begins in, and the one that is under
way, are read by the minute. `queries/windows.sql` counts requests by cells, each of which is wholly
within a window or wholly outside.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Final

CELLS_AN_HOUR: Final = 8
"""One for each of the seven windows that may be the shortest to have it, and one for none."""


@dataclass(frozen=True)
class Windows:
    """The windows of these lengths, the shortest first, that end at `now`."""

    now: datetime
    lengths_secs: Mapping[str, int]

    @cached_property
    def starts(self) -> list[datetime]:
        """What is after it is within a window."""
        return [self.now - timedelta(seconds=secs) for secs in self.lengths_secs.values()]

    @cached_property
    def hours(self) -> list[datetime]:
        """The hours that are read by the minute."""
        return sorted({_hour(moment) for moment in (self.now, *self.starts)})

    @cached_property
    def _cells(self) -> list[list[int]]:
        """By window, the cells that it has."""
        by_minute = [{_hour(start), _hour(self.now)} for start in self.starts]
        return [
            [
                CELLS_AN_HOUR * hour + shortest
                for hour in (0, *(n for n, one in enumerate(self.hours, 1) if one in within))
                for shortest in range(window + 1)
            ]
            for window, within in enumerate(by_minute)
        ]

    def sums(self, counts: Sequence[int]) -> list[int]:
        """What was counted by cell, by window."""
        return [sum(counts[cell] for cell in cells) for cells in self._cells]


def _hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)

"""How many messages came in each of the last minutes.

Brokers know the offset of each moment. Those of whole minutes that have passed stay what they are, so
each is asked for once and kept: a page that is looked at for an hour asks once a minute.
"""

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from tailrace.web.streams.asking import Asking, Place

MINUTES: Final = 30
MINUTE_MS: Final = 60_000
SETTLED_MS: Final = 1000
"""A minute has passed when messages with its times are no longer on their way."""
MOST_PLACES: Final = 400
"""Partitions whose history is asked for at once; where there are more, none is."""
MOST_KNOWN: Final = 100_000

Rates: TypeAlias = tuple[float, ...]
"""Messages a second in each of the last minutes, the oldest first."""


class History:
    """Offsets of partitions at whole minutes. Not to be shared by threads."""

    def __init__(self) -> None:
        self._known: dict[int, dict[Place, int]] = {}

    def rates(
        self, asking: Asking, places: Sequence[Place], ends: Mapping[Place, int]
    ) -> dict[Place, Rates]:
        """Of those places that answered for every minute; of none, where there are too many."""
        if not places or len(places) > MOST_PLACES:
            return {}
        last = (asking.clock.now_ms() - SETTLED_MS) // MINUTE_MS
        minutes = range(last - MINUTES, last + 1)
        self._learn(asking, minutes, places, ends)
        found = {}
        for place in places:
            known = [self._known[minute].get(place) for minute in minutes]
            offsets = [offset for offset in known if offset is not None]
            if len(offsets) == len(known):
                found[place] = tuple(
                    max(after - before, 0) * 1000 / MINUTE_MS
                    for before, after in zip(offsets, offsets[1:], strict=False)
                )
        return found

    def _learn(
        self, asking: Asking, minutes: range, places: Sequence[Place], ends: Mapping[Place, int]
    ) -> None:
        if sum(map(len, self._known.values())) > MOST_KNOWN:
            self._known.clear()
        self._known = {minute: self._known.get(minute, {}) for minute in minutes}
        started = {}
        for minute, known in self._known.items():
            unknown = [place for place in places if place not in known]
            started[minute] = asking.start_offsets_at(unknown, minute * MINUTE_MS)
        for minute, answers in started.items():
            for place, offset in asking.offsets(answers).items():
                # nothing came since: it was where it is now
                at = ends.get(place) if offset < 0 else offset
                if at is not None:
                    self._known[minute][place] = at

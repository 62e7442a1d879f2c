"""Names of topics or groups, filtered and cut into pages.

A page begins after a name, so it stays where it is when others come or go.
"""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Names:
    """A page of names in their order."""

    rows: tuple[str, ...]
    total: int
    """On all pages."""
    next: str | None
    """What the next page begins after; None where there is none."""
    previous: str | None
    """The same of the page before; empty for the first."""


def page_of(all_names: Iterable[str], text: str, after: str, limit: int) -> Names:
    """Those that have the text in them, whatever its letters' size, after a name."""
    wanted = text.strip().lower()
    found = sorted(name for name in all_names if wanted in name.lower())
    start = bisect_right(found, after) if after else 0
    rows = tuple(found[start : start + limit])
    before = start - limit - 1
    return Names(
        rows,
        len(found),
        rows[-1] if start + limit < len(found) and rows else None,
        None if start == 0 else found[before] if before >= 0 else "",
    )

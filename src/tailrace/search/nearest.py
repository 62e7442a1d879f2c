"""Finds what somebody may have meant by a name that there is not."""

import difflib
from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> list[str]:
    """Up to three of the known names that look like `name`, the most alike first."""
    return difflib.get_close_matches(name.lower(), sorted(known), n=3, cutoff=0.5)

"""The pack's questions in SQL, and how their answers are rounded."""

from functools import cache
from pathlib import Path
from typing import Final

QUERIES: Final = Path(__file__).with_name("queries")
PLACES: Final = 5
"""Decimal places of a number in an answer."""


@cache
def read_sql(name: str) -> str:
    """A question of `queries/`."""
    return (QUERIES / f"{name}.sql").read_text("utf-8")

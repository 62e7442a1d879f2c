"""Log levels by their names, and how attributes are told from columns."""

from typing import Final

LEVELS: Final = ("TRACE", "DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL")
"""The levels from least to most severe."""

LEVEL_ALIASES: Final = {
    "WARN": "WARNING",
    "ERR": "ERROR",
    "FATAL": "CRITICAL",
    "CRIT": "CRITICAL",
    "INFORMATION": "INFO",
}

ATTRIBUTES_PREFIX: Final = "attributes."


def level_of(text: str) -> str:
    """The level as it is stored: upper case, by its usual name."""
    upper = text.upper()
    return LEVEL_ALIASES.get(upper, upper)

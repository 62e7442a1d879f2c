"""What may stand before the colon of `field:value`: the table's columns, their aliases, the levels.

Every other name is an attribute.
"""

from typing import Final, Literal

Kind = Literal["text", "level", "message", "moment"]

COLUMNS: Final[dict[str, Kind]] = {
    "timestamp": "moment",
    "log_level": "level",
    "message": "message",
    "source": "text",
    "host": "text",
    "trace_id": "text",
    "span_id": "text",
    "received_at": "moment",
}

ALIASES: Final = {
    "time": "timestamp",
    "ts": "timestamp",
    "@timestamp": "timestamp",
    "level": "log_level",
    "lvl": "log_level",
    "severity": "log_level",
    "service": "source",
    "service_name": "source",
    "service.name": "source",
    "logger": "source",
    "hostname": "host",
    "msg": "message",
    "body": "message",
    "trace": "trace_id",
    "traceid": "trace_id",
    "span": "span_id",
    "spanid": "span_id",
}

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


def column_of(name: str) -> str | None:
    """The column that a typed field name means, or None for an attribute."""
    lowered = name.lower()
    lowered = ALIASES.get(lowered, lowered)
    return lowered if lowered in COLUMNS else None


def attribute_of(name: str) -> str:
    """The attribute that a typed field name means: `attributes.user` is `user`."""
    return name.removeprefix(ATTRIBUTES_PREFIX)


def level_of(text: str) -> str:
    """The level as it is stored: upper case, by its usual name."""
    upper = text.upper()
    return LEVEL_ALIASES.get(upper, upper)

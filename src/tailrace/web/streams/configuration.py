"""How a topic is set up: retention, cleanup, sizes; numbers as people read them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka.admin import (  # type: ignore[attr-defined]
    ConfigResource,
    ConfigSource,
    ResourceType,
)

from tailrace.web.streams.asking import Answer, Asking
from tailrace.web.units import format_number

FIRST: Final = (
    "cleanup.policy",
    "retention.ms",
    "retention.bytes",
    "min.insync.replicas",
    "max.message.bytes",
    "compression.type",
    "message.timestamp.type",
    "segment.bytes",
    "segment.ms",
)
"""What people look for, before the rest in the order of names."""

SOURCES: Final[Mapping[str, str]] = {
    "DYNAMIC_TOPIC_CONFIG": "this topic",
    "DYNAMIC_BROKER_CONFIG": "a broker",
    "DYNAMIC_DEFAULT_BROKER_CONFIG": "all brokers",
    "STATIC_BROKER_CONFIG": "the brokers' file",
    "DEFAULT_CONFIG": "default",
}
ENDLESS: Final = frozenset({-1, 2**63 - 1})
_UNITS_MS: Final = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1000, "s"), (1, "ms"))


@dataclass(frozen=True)
class Option:
    """One option of a topic."""

    name: str
    value: str | None
    """None: it is secret, or not set."""
    source: str
    """Who has set it; `default` where nobody has."""
    is_default: bool

    @property
    def meaning(self) -> str:
        """Milliseconds and bytes as people read them; empty where the value says it all."""
        try:
            number = int(self.value or "")
        except ValueError:
            return ""
        kind = self.name.rpartition(".")[2]
        if kind not in ("ms", "bytes"):
            return ""
        if number in ENDLESS:
            return "no limit"
        if number < 0:
            return ""
        return _duration(number) if kind == "ms" else format_number(number, "bytes")


def start_options(asking: Asking, kind: ResourceType, name: str) -> Answer:
    """Ask for the options of a topic or a broker. Each is asked by itself: brokers tell their own only."""
    resource = ConfigResource(kind, name)
    asked = asking.admin.describe_configs([resource], request_timeout=asking.step_secs)
    return next(iter(asked.values()))


def options_of(answer: Any) -> tuple[Option, ...]:
    """The options, those that people look for first; none where brokers do not tell."""
    options = [
        Option(
            entry.name,
            None if entry.is_sensitive else entry.value,
            SOURCES.get(ConfigSource(entry.source).name, "unknown"),
            bool(entry.is_default),
        )
        for entry in (answer or {}).values()
    ]
    return tuple(sorted(options, key=_order))


def _order(option: Option) -> tuple[int, str]:
    return FIRST.index(option.name) if option.name in FIRST else len(FIRST), option.name


def _duration(ms: int) -> str:
    """In the largest unit that it is a whole number of: 604800000 is 7 d."""
    return next(f"{ms // size:,} {unit}" for size, unit in _UNITS_MS if ms % size == 0)

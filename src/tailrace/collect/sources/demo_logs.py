"""Source `demo_logs`: made-up log lines, for trying things out.

Ends by itself after `count` lines. A crash leaves it at nothing: it begins again.
"""

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Literal

import orjson
from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError
from typing_extensions import override

from tailrace.collect.component import Component, SourceConfig
from tailrace.collect.options import Decoding, Framing
from tailrace.collect.source import Frames, Origin, RejectedLine, Source, SourceContext

LINES_AT_ONCE = 1000
"""Lines of one append where there is no pause between them."""

Chance = random.Random

_USERS = ("benefritz", "CrucifiX", "devankoshal", "jesseddy", "meln1ks", "shaneIxD", "-")
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
_PATHS = ("/apps/deploy", "/booper/bopper/mooper", "/do-not-access", "/user/login", "/wp-admin")
_STATUSES = (200, 300, 301, 302, 304, 307, 400, 401, 403, 404, 410, 500, 501, 503, 550)
_HOSTS = ("make.de", "names.us", "random.org", "some.com", "we.net")
_APPS = ("ahmadajmi", "b0rnc0nfused", "mailer", "nginx", "shop", "worker")
_MESSAGES = (
    "Great Scott! We're never gonna reach 88 mph with the flux capacitor in its current state!",
    "Maybe we just shouldn't use computers",
    "Pretty pretty pretty good",
    "There's a breach in the warp core, captain",
    "Take a breath, let it go, walk away",
    "You're not gonna believe what just happened",
)
_LEVELS = ("alert", "crit", "debug", "emerg", "error", "info", "notice", "trace1-8", "warn")


class DemoLogsConfig(SourceConfig):
    """Makes up log lines."""

    type: Literal["demo_logs"] = "demo_logs"

    format: Literal["json", "apache_common", "apache_error", "syslog", "bsd_syslog", "shuffle"]
    """What the lines look like; `shuffle` takes them from `lines`, by chance."""

    lines: tuple[str, ...] | None = Field(default=None, validate_default=True)
    """Lines of the format `shuffle`, which needs them; unset for all others."""

    sequence: bool = False
    """Whether lines of the format `shuffle` begin with their number."""

    interval: float = Field(default=1.0, ge=0)
    """Seconds between two lines; 0 for none."""

    count: int | None = Field(default=None, ge=0)
    """How many lines there are in all; unset: no end."""

    framing: Framing | None = None
    """How a line is cut into frames; unset: it is one."""

    decoding: Decoding = Decoding()
    """How a line becomes events."""

    @override
    def added_fields(self) -> frozenset[str]:
        return frozenset({"service", "host"})

    @property
    @override
    def codec(self) -> str:
        return self.decoding.codec

    @field_validator("lines")
    @classmethod
    def _check_lines(cls, lines: Any, information: ValidationInfo) -> Any:
        is_shuffle = information.data.get("format") == "shuffle"
        if is_shuffle and lines is None:
            raise PydanticCustomError("missing", "Field required")
        if is_shuffle and not lines:
            raise ValueError("cannot choose from no lines")
        if lines is not None and not is_shuffle:
            raise ValueError("only the format 'shuffle' has this option")
        return lines

    @field_validator("sequence")
    @classmethod
    def _check_sequence(cls, sequence: bool, information: ValidationInfo) -> bool:
        if sequence and information.data.get("format") != "shuffle":
            raise ValueError("only the format 'shuffle' has this option")
        return sequence


class DemoLogsSource(Source):
    """See the module."""

    def __init__(
        self, config: DemoLogsConfig, context: SourceContext, chance: Chance | None = None
    ) -> None:
        super().__init__()
        self._config = config
        self._context = context
        self._chance = chance or Chance()  # it makes up logs, not secrets
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._made = 0

    @override
    async def start(self) -> None:
        self._task = asyncio.create_task(self._make_lines())
        self.tasks.append(self._task)

    @override
    async def stop(self, grace_secs: float) -> None:
        self._stopping.set()
        if self._task:
            await asyncio.wait({self._task}, timeout=grace_secs)
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _make_lines(self) -> None:
        config = self._config
        origin = Origin("localhost", (("service", "vector"), ("host", "localhost")))
        while not self._stopping.is_set():
            left = None if config.count is None else config.count - self._made
            if left == 0:
                self.finished.set()
                await self._stopping.wait()
                return
            at_once = 1 if config.interval else LINES_AT_ONCE
            number = at_once if left is None else min(left, at_once)
            await self._hand_over([self._line().encode() for _ in range(number)], origin)
            if config.interval:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), config.interval)

    async def _hand_over(self, lines: list[bytes], origin: Origin) -> None:
        framing = self._config.framing
        most = framing.newline_delimited.max_length if framing else None
        if most is not None:
            too_long = [line for line in lines if len(line) > most]
            lines = [line for line in lines if len(line) <= most]
            await self._context.intake.reject(
                [RejectedLine(line, "line too long", origin.peer) for line in too_long]
            )
        payload = b"".join(line + b"\n" for line in lines)
        await self._context.intake.append([Frames(payload, payload.count(b"\n"), origin)])

    def _line(self) -> str:
        number, self._made = self._made, self._made + 1
        if self._config.lines is not None:
            line = self._chance.choice(self._config.lines)
            return f"{number} {line}" if self._config.sequence else line
        return FORMATS[self._config.format](self._chance, datetime.now(UTC))


def _apache_common(chance: Chance, now: datetime) -> str:
    return (
        f"{_address(chance)} - {chance.choice(_USERS)} [{now:%d/%b/%Y:%H:%M:%S %z}] "
        f'"{chance.choice(_METHODS)} {chance.choice(_PATHS)} {_protocol(chance)}" '
        f"{chance.choice(_STATUSES)} {chance.randint(20, 50_000)}"
    )


def _apache_error(chance: Chance, now: datetime) -> str:
    return (
        f"[{now:%a %b %d %H:%M:%S %Y}] [{chance.choice(_APPS)}:{chance.choice(_LEVELS)}] "
        f"[pid {chance.randint(1, 9999)}:tid {chance.randint(1, 9999)}] "
        f"[client {_address(chance)}:{chance.randint(1024, 65535)}] {chance.choice(_MESSAGES)}"
    )


def _syslog(chance: Chance, now: datetime) -> str:
    return (
        f"<{chance.randint(0, 191)}>{chance.randint(1, 2)} {_iso(now)} {chance.choice(_HOSTS)} "
        f"{chance.choice(_APPS)} {chance.randint(100, 9999)} ID{chance.randint(1, 999)} - "
        f"{chance.choice(_MESSAGES)}"
    )


def _bsd_syslog(chance: Chance, now: datetime) -> str:
    return (
        f"<{chance.randint(0, 191)}>{now:%b} {now.day:2d} {now:%H:%M:%S} {chance.choice(_HOSTS)} "
        f"{chance.choice(_APPS)}[{chance.randint(100, 9999)}]: {chance.choice(_MESSAGES)}"
    )


def _json(chance: Chance, now: datetime) -> str:
    return orjson.dumps(
        {
            "host": _address(chance),
            "user-identifier": chance.choice(_USERS),
            "datetime": f"{now:%d/%b/%Y:%H:%M:%S}",
            "method": chance.choice(_METHODS),
            "request": chance.choice(_PATHS),
            "protocol": _protocol(chance),
            "status": str(chance.choice(_STATUSES)),
            "bytes": chance.randint(20, 50_000),
            "referer": f"https://{chance.choice(_HOSTS)}{chance.choice(_PATHS)}",
        }
    ).decode()


def _address(chance: Chance) -> str:
    return ".".join(str(chance.randint(1, 254)) for _ in range(4))


def _protocol(chance: Chance) -> str:
    return chance.choice(("HTTP/1.0", "HTTP/1.1", "HTTP/2.0"))


def _iso(now: datetime) -> str:
    return now.isoformat(timespec="milliseconds").replace("+00:00", "Z")


FORMATS: dict[str, Callable[[Chance, datetime], str]] = {
    "apache_common": _apache_common,
    "apache_error": _apache_error,
    "bsd_syslog": _bsd_syslog,
    "json": _json,
    "syslog": _syslog,
}
"""What makes a line, by the format's name; `shuffle` needs nothing made."""


DEMO_LOGS: Component[Source] = Component(DemoLogsConfig, DemoLogsSource)

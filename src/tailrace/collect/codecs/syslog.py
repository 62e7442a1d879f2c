"""Codec `syslog`: RFC 5424 and RFC 3164 (BSD), told apart by what follows the priority.

Fields as Vector names them: `timestamp`, `facility`, `severity`, `hostname`, `appname`, `procid`,
`msgid`, `version`, `message`, and each element of structured data as an object at the root. `host`
is the `hostname`, where there is one.

RFC 3164 describes what programs did rather than a rule, so its parts are all optional: the tag, the
host (which only stands after a time), the time, which may be RFC 3339. A time without a year is the
nearest one that is not in the future; a zone may be one of RFC 822, and is else this machine's. A
line without a priority is refused with its reason, as Vector's codec refuses it.

One regular expression a line; the conversion of times is cached by their text, for many lines have
the same second.
"""

import re
import time
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache

from tailrace.collect.codec import DecodeError
from tailrace.collect.transform import Event, Timestamp

FACILITIES = (
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv",
    "ftp", "ntp", "audit", "alert", "clockd", "local0", "local1", "local2", "local3", "local4",
    "local5", "local6", "local7",
)  # fmt: skip
SEVERITIES = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_ZONES = {
    "UT": UTC,
    "UTC": UTC,
    "GMT": UTC,
    **{
        f"{letter}{kind}T": timezone(timedelta(hours=hours))
        for letter, standard in (("E", -5), ("C", -6), ("M", -7), ("P", -8))
        for kind, hours in (("S", standard), ("D", standard + 1))
    },
}
"""RFC 822's names of zones."""

_NIL = "-"
_RESERVED = frozenset(
    {"timestamp", "facility", "severity", "hostname", "host", "appname", "procid", "msgid"}
    | {"version", "message", "source_ip", "source_type"}
)
"""An element of structured data with such a name must not take the field's place."""
_SECONDS_A_DAY = 86_400

_RFC_5424 = re.compile(
    r"<(?P<priority>[0-9]{1,3})>(?P<version>[0-9]{1,3}) "
    r"(?P<time>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})?(?P<rest>[^ ]*) "
    r"(?P<host>[^ ]+) (?P<app>[^ ]+) (?P<process>[^ ]+) (?P<message_id>[^ ]+) "
    r"(?P<data>-|(?:\[(?:[^\"\]]++|\"(?:[^\"\\]|\\.)*+\")*+\])++)"
    r"(?: (?P<message>.*))?",
    re.DOTALL,
)
_RFC_3164 = re.compile(
    r"<(?P<priority>[0-9]{1,3})>"
    r"(?:(?:(?P<time>(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [ 0-9][0-9]"
    r"(?: [0-9]{4})? [0-9]{2}:[0-9]{2}:[0-9]{2})(?P<fraction>\.[0-9]{1,9})?(?: (?P<zone>UTC?|GMT|[ECMP][SD]T))?:? "
    r"|(?P<iso>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?P<rest>[^ ]*) )"
    r"(?:(?P<host>[^ \[\]]*[^ :\[\]]) (?=[^ ]))?)?"
    r"(?:(?P<app>[^ :\[\]]{1,64})(?:\[(?P<process>[^\]]{1,64})\])?: ?)?"
    r"(?P<message>.*)",
    re.DOTALL,
)
_ZONE = re.compile(r"(?P<fraction>\.[0-9]{1,9})?(?:Z|(?P<zone>[+-][0-9]{2}:[0-9]{2}))")
_ELEMENT = re.compile(r"\[([^ =\]\"]+)((?: [^ =\]\"]+=\"(?:[^\"\\]|\\.)*+\")*+) *\]")
_PARAMETER = re.compile(r" ([^ =\]\"]+)=\"((?:[^\"\\]|\\.)*+)\"")
_ESCAPED = re.compile(r"\\([\"\\\]])")


def decode_syslog(line: bytes) -> list[Event]:
    """The event of one message; raises DecodeError with the reason."""
    text = line.decode("utf-8", "replace").rstrip("\r\n\0")
    found = _RFC_5424.fullmatch(text)
    if found:
        event = _read_5424(found)
        if event is not None:
            return [event]
    found = _RFC_3164.fullmatch(text)
    if not found:
        raise DecodeError("not syslog: it does not begin with a priority such as <34>")
    return [_read_3164(found)]


def _read_5424(found: re.Match[str]) -> Event | None:
    """None where it only looks as if it was RFC 5424."""
    priority, version, time_text, rest, host, app, process, message_id, data, message = (
        found.groups()
    )
    event = _begin(priority)
    if time_text:
        timestamp = _iso_time(time_text, rest)
        if timestamp is None:
            return None
        event["timestamp"] = timestamp
    elif rest != _NIL:
        return None
    event["version"] = int(version)
    if host != _NIL:
        event["hostname"] = event["host"] = host
    if app != _NIL:
        event["appname"] = app
    if process != _NIL:
        event["procid"] = int(process) if process.isdecimal() and len(process) < 19 else process
    if message_id != _NIL:
        event["msgid"] = message_id
    if data != _NIL:
        for name, parameters in _ELEMENT.findall(data):
            key = f"structured_{name}" if name in _RESERVED else name
            event[key] = {word: _unescape(value) for word, value in _PARAMETER.findall(parameters)}
    event["message"] = message.removeprefix("\ufeff") if message else ""
    return event


def _read_3164(found: re.Match[str]) -> Event:
    priority, time_text, fraction, zone, iso, rest, host, app, process, message = found.groups()
    event = _begin(priority)
    timestamp = None
    if iso:
        timestamp = _iso_time(iso, rest)
    elif time_text:
        seconds = _seconds(time_text, zone or "", int(time.time()) // _SECONDS_A_DAY)
        timestamp = Timestamp(f"{seconds}{fraction or ''}Z") if seconds else None
    if timestamp is not None:
        event["timestamp"] = timestamp
    if host:
        event["hostname"] = event["host"] = host
    if app:
        event["appname"] = app
    if process:
        event["procid"] = int(process) if process.isdecimal() and len(process) < 19 else process
    event["message"] = message
    return event


def _begin(priority: str) -> Event:
    number = int(priority)
    if number > 191:
        raise DecodeError(f"not syslog: there is no priority <{priority}>, the highest is <191>")
    return {"facility": FACILITIES[number >> 3], "severity": SEVERITIES[number & 7]}


def _unescape(value: str) -> str:
    return _ESCAPED.sub(r"\1", value) if "\\" in value else value


def _iso_time(seconds: str, rest: str) -> Timestamp | None:
    """A time of RFC 3339 in UTC, all its digits kept; None where it is none."""
    if rest == "Z" and (moment := _in_utc(seconds, "")):
        return Timestamp(f"{moment}Z")
    zone = _ZONE.fullmatch(rest)
    moment = _in_utc(seconds, zone["zone"] or "") if zone else None
    return Timestamp(f"{moment}{zone['fraction'] or ''}Z") if zone and moment else None


@lru_cache(4096)
def _in_utc(seconds: str, zone: str) -> str | None:
    try:
        moment = datetime.fromisoformat(seconds + (zone or "+00:00"))
        return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    except (ValueError, OverflowError):
        return None


@lru_cache(4096)
def _seconds(text: str, zone: str, today: int) -> str | None:
    """`Oct 11 22:14:15` or `Oct 11 2003 22:14:15` in UTC; `today` counts days since 1970."""
    month, day, *year, clock = text.split()
    now = datetime.fromtimestamp(today * _SECONDS_A_DAY, UTC)
    hour, minute, second = (int(part) for part in clock.split(":"))
    try:
        moment = datetime(  # noqa: DTZ001  # the zone is put in one line below
            int(year[0]) if year else now.year,
            MONTHS.index(month) + 1,
            int(day),
            hour,
            minute,
            min(second, 59),
        )
        offset = _ZONES.get(zone)
        moment = moment.astimezone() if offset is None else moment.replace(tzinfo=offset)
        if not year and moment > now + timedelta(days=2):
            moment = moment.replace(year=moment.year - 1)
    except ValueError:
        return None
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")

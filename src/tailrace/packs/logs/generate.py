"""Makes the log lines of an imagined shop, several hundred thousand a second on one core.

The same seed and rate make the same events: same text, in the same order. Their times are the
caller's. An incident (a payment gateway that does not answer) comes every few minutes of the rate's
time and takes 20 to 60 seconds of it.

How it is fast: stories are compiled to format strings once, their order within a chunk is drawn
from a few ready plans, and values come from pools, so that a line costs one format and one join.
"""

import json
import random
import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from itertools import islice
from operator import itemgetter
from typing import Any

from tailrace.packs.logs.stories import (
    CURRENCIES,
    EVERYDAY,
    FIELD_NAMES,
    GATEWAYS,
    INCIDENT,
    NUMBERS,
    QUERIES,
    USER_AGENTS,
    VALUES,
    Event,
    Story,
)

CHUNK_SECS = 1.0
CHUNK_MIN_EVENTS = 20
CHUNK_MAX_EVENTS = 2000
PLANS = 8
POOL = 4096
FIRST_INCIDENT_SECS = (45.0, 90.0)
BETWEEN_INCIDENTS_SECS = (120.0, 420.0)
INCIDENT_SECS = (20.0, 60.0)
INCIDENT_SHARE = 0.5
BURST_FACTOR = 4.0
EVERYDAY_PACE = 0.94
INCIDENT_PACE = 1.5
"""Events a second as shares of the rate: more while retries add to what is always there."""
PACE_SWING = 0.2

Fill = tuple[str, Any]
"""A format string, and the getter of its values from the list of a story's values."""


@dataclass(frozen=True)
class Plan:
    """The course of one chunk: its stories, and each event's place in time.

    `order[i]` is the number of the i-th event in time among the events story by story;
    `offsets[i]` is when it happens, in [0, 1) of the chunk's duration.
    """

    stories: Sequence[Sequence[Fill]]
    order: Sequence[int]
    offsets: Sequence[float]


@dataclass(frozen=True)
class Chunk:
    """Events without their times; `offsets` are when they happen, in [0, 1) of `secs`."""

    bodies: Sequence[str]
    offsets: Sequence[float]
    secs: float

    def render(self, start_ns: int, secs: float) -> list[str]:
        """The lines, with times that begin at `start_ns` (since 1970) and take `secs`."""
        start_us, scale = start_ns // 1000, secs * 1e6
        times = [start_us + int(offset * scale) for offset in self.offsets]
        lines: list[str] = []
        done = 0
        while done < len(times):
            second = times[done] // 1_000_000
            end = bisect_left(times, (second + 1) * 1_000_000, done)
            stamp = f'{{"timestamp":"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%S}.'
            first_us = second * 1_000_000
            lines += [
                f'{stamp}{time - first_us:06d}Z",{body}'
                for time, body in zip(times[done:end], self.bodies[done:end], strict=True)
            ]
            done = end
        return lines


class LogGenerator:
    """An endless stream of chunks of log lines."""

    def __init__(self, seed: int | None, events_per_sec: float) -> None:
        self._random = random.Random(seed)  # noqa: S311 (events, not secrets)
        count = int(min(max(events_per_sec * CHUNK_SECS, CHUNK_MIN_EVENTS), CHUNK_MAX_EVENTS))
        self._chunk_secs = count / events_per_sec
        self._everyday = [self._plan(EVERYDAY, (), count) for _ in range(PLANS)]
        self._incident = [self._plan(EVERYDAY, INCIDENT, count) for _ in range(PLANS)]
        self._durations = [f"{self._random.lognormvariate(3, 1):.1f}" for _ in range(POOL)]
        self._slow = [str(self._random.randrange(1000, 9000)) for _ in range(POOL)]
        self._people = [self._person() for _ in range(POOL)]
        self._goods = [self._good() for _ in range(POOL)]
        self._orders = self._random.randrange(10**6, 10**7)

    def chunks(self) -> Iterator[Chunk]:
        """Chunk after chunk, forever."""
        secs_to_incident = self._random.uniform(*FIRST_INCIDENT_SECS)
        while True:
            yield from self._chunks_for(secs_to_incident, self._everyday, EVERYDAY_PACE)
            incident_secs = self._random.uniform(*INCIDENT_SECS)
            yield from self._chunks_for(incident_secs, self._incident, INCIDENT_PACE)
            secs_to_incident = self._random.uniform(*BETWEEN_INCIDENTS_SECS)

    def _chunks_for(self, secs: float, plans: Sequence[Plan], pace: float) -> Iterator[Chunk]:
        while secs > 0:
            swing = self._random.uniform(1 - PACE_SWING, 1 + PACE_SWING)
            chunk = self._chunk(self._random.choice(plans), self._chunk_secs * swing / pace)
            secs -= chunk.secs
            yield chunk

    def _chunk(self, plan: Plan, secs: float) -> Chunk:
        told = self._tell(plan.stories, len(plan.order))
        return Chunk([told[i] for i in plan.order], plan.offsets, secs)

    def _tell(self, stories: Sequence[Sequence[Fill]], count: int) -> list[str]:
        """The lines of all stories, one story after the other."""
        draw = self._random
        traces = draw.randbytes(16 * len(stories)).hex()
        spans = draw.randbytes(8 * count).hex()
        durations, slow = self._drawn(self._durations, count), self._drawn(self._slow, count)
        people = draw.choices(self._people, k=len(stories))
        goods = draw.choices(self._goods, k=len(stories))
        lines: list[str] = []
        place = 0
        for number, story in enumerate(stories):
            self._orders += 1
            values = ["", "", "", traces[32 * number : 32 * number + 32], f"A{self._orders}"]
            values += people[number]
            values += goods[number]
            for template, used in story:
                values[0] = durations[place]
                values[1] = slow[place]
                values[2] = spans[16 * place : 16 * place + 16]
                lines.append(template % used(values))
                place += 1
        return lines

    def _drawn(self, pool: list[str], count: int) -> list[str]:
        """`count` values of a pool, from a random place on: cheaper than drawing each."""
        start = self._random.randrange(POOL)
        return (pool * (2 + count // POOL))[start : start + count]

    def _person(self) -> tuple[str, ...]:
        """user_id, session_id, ip, user_agent"""
        draw = self._random
        return (
            str(draw.randrange(1000, 60000)),
            f"{draw.getrandbits(48):012x}",
            f"203.0.{draw.randrange(113, 116)}.{draw.randrange(1, 255)}",
            draw.choice(USER_AGENTS),
        )

    def _good(self) -> tuple[str, ...]:
        """amount, currency, gateway, item_id, query, results, workers, attempts"""
        draw = self._random
        return (
            f"{draw.lognormvariate(3.6, 0.8):.2f}",
            draw.choice(CURRENCIES),
            draw.choice(GATEWAYS),
            f"sku-{draw.randrange(10**5):05d}",
            draw.choice(QUERIES),
            str(int(draw.lognormvariate(3, 1.2))),
            str(draw.randrange(3, 64)),
            str(draw.randrange(1, 4)),
        )

    def _plan(self, everyday: Sequence[Story], incident: Sequence[Story], count: int) -> Plan:
        """Stories that begin at random moments, more of them in bursts; exactly `count` events."""
        fills: list[Sequence[Fill]] = []
        times: list[float] = []
        while len(times) < count:
            story = self._pick(everyday, incident)
            left = count - len(times)
            fills.append([_compile(event, story.traced) for event in story.events[:left]])
            times += islice(self._times(story), left)
        order = sorted(range(count), key=times.__getitem__)
        return Plan(fills, order, [times[i] for i in order])

    def _pick(self, everyday: Sequence[Story], incident: Sequence[Story]) -> Story:
        among = incident if incident and self._random.random() < INCIDENT_SHARE else everyday
        return self._random.choices(among, [story.weight for story in among])[0]

    def _times(self, story: Story) -> Iterator[float]:
        """When each event of a story happens, in [0, 1) of the chunk."""
        draw = self._random
        when = draw.random()
        if draw.random() < 1 / BURST_FACTOR:  # a quarter of the stories within a tenth of the time
            when = 0.3 + when / 10
        for event in story.events:
            yield when
            step = event.after_ms / 1000 / self._chunk_secs * draw.uniform(0.5, 1.5)
            # What would fall behind the chunk's end is squeezed before it, still in its order.
            when = min(when + step, when + (1 - when) * 0.5)


@cache
def _compile(event: Event, traced: bool) -> Fill:
    """A line as a format string, and the getter of the values that it wants."""
    fields: dict[str, str] = {
        "log_level": event.level,
        "message": event.message,
        "source": event.source,
        "host": f"{event.source}-{{host}}",
    }
    if traced:
        fields |= {"trace_id": "{trace_id}", "span_id": "{span_id}"}
    for field in event.fields.split():
        name, fixed, value = field.partition("=")
        fields[FIELD_NAMES.get(name, name)] = value if fixed else f"{{{name}}}"
    body = ",".join(f"{json.dumps(name)}:{_as_json(value)}" for name, value in fields.items())
    body = body.replace("{host}", str(len(event.message) % 3 + 1))
    used = re.findall(r"\{(\w+)\}", body)
    template = re.sub(r"\{\w+\}", "%s", body.replace("%", "%%")) + "}\n"
    places = [VALUES.index(name) for name in used]
    if len(places) == 1:
        # itemgetter of one index gives no tuple
        return template, lambda values, place=places[0]: (values[place],)
    return template, itemgetter(*places) if places else lambda _: ()


def _as_json(value: str) -> str:
    """A number without quotes, any other text with them."""
    if value.isdigit() or (value.startswith("{") and value[1:-1] in NUMBERS):
        return value
    return json.dumps(value, ensure_ascii=False)

"""Questions to the brokers, which all must be answered within one time.

What a single partition or group does not answer is missing in its place; only what the brokers
together do not answer is an error.
"""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from tailrace.clock import Clock

MOST_STEP_SECS: Final = 2.5
LEAST_SECS: Final = 0.05
"""What is left for a question when the time is over: enough to hear that there is no answer."""

EARLIEST: Final = OffsetSpec.earliest()  # type: ignore[no-untyped-call]
LATEST: Final = OffsetSpec.latest()  # type: ignore[no-untyped-call]

Place: TypeAlias = tuple[str, int]
"""A topic and one of its partitions."""

Answer: TypeAlias = "Future[Any]"
Answers: TypeAlias = Mapping[TopicPartition, Answer]


class GroupsAsker(Protocol):
    """Who asks about groups."""

    def ask(
        self, names: Sequence[str], only: Sequence[Place] | None, until: float
    ) -> Mapping[str, Any]:
        """What was told of each group by then (the clock's `monotonic`), without those that were not
        told of; with `only`, of their offsets those of these places."""


@dataclass(frozen=True)
class Asking:
    """Somebody who asks, and until when (by the clock's `monotonic`)."""

    admin: AdminClient
    clock: Clock
    until: float
    groups: GroupsAsker

    @property
    def left_secs(self) -> float:
        """How long an answer may still take."""
        return max(self.until - self.clock.monotonic(), LEAST_SECS)

    @property
    def step_secs(self) -> float:
        """How long one of several questions may take: a broker that is away leaves time for the others."""
        return min(self.left_secs, MOST_STEP_SECS)

    @property
    def is_over(self) -> bool:
        """Whether the time is over."""
        return self.clock.monotonic() >= self.until

    def start_offsets(self, places: Iterable[Place], spec: OffsetSpec) -> Answers:
        """Ask for an offset of each place, to be waited for with `offsets`."""
        asked = {TopicPartition(topic, number): spec for topic, number in places}
        if not asked:
            return {}
        return self.admin.list_offsets(asked, request_timeout=self.step_secs)

    def start_offsets_at(self, places: Iterable[Place], ms: int) -> Answers:
        """As `start_offsets`, for the first messages from a time on."""
        return self.start_offsets(places, OffsetSpec.for_timestamp(ms))

    def offsets(self, answers: Answers) -> dict[Place, int]:
        """The offset of each place that answers; -1 is that of a time after its last message."""
        offsets = {}
        for place, answer in answers.items():
            result = self.result(answer)
            if result is not None:
                offsets[place.topic, place.partition] = int(result.offset)
        return offsets

    def result(self, answer: Answer) -> Any:
        """What a broker answered; None where it did not."""
        try:
            return answer.result(self.left_secs)
        except (KafkaException, TimeoutError):
            return None

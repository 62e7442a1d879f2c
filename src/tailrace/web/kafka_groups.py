"""Asks brokers about consumer groups, in a process of its own: `python -m tailrace.web.kafka_groups`.

librdkafka's admin client ends its process (SIGABRT, SIGSEGV) when the broker that keeps a group goes away
or gives the group to another while it is asked for it: its issues 5040 and 4605. Pages may not end by that,
and it happens when people look most. So this process asks, and may end; `tailrace.web.streams.apart`
starts the next one.

On standard input, the first line is the client's settings as JSON, then each line is a question,
`{"names": […], "only": [[topic, partition], …] or null, "secs": 2.5}`; each is answered by a line, an
object with what was told of each group, null for those that did not answer. It ends with its input, and
when nothing is asked for a minute.
"""

import json
import signal
import sys
from concurrent.futures import Future
from typing import Any, Final

from confluent_kafka import (
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient

IDLE_SECS: Final = 60


class MovedError(Exception):
    """A group is kept by another broker than the one that this client remembers."""


def main() -> None:
    """Answer what comes in."""
    questions = sys.stdin.buffer
    admin = AdminClient(json.loads(questions.readline()))
    while True:
        signal.alarm(IDLE_SECS)  # whose signal ends the process
        line = questions.readline()
        if not line:
            return
        try:
            told = ask(admin, **json.loads(line))
        except MovedError:
            return  # the next process knows nothing old
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()


def ask(
    admin: AdminClient, names: list[str], only: list[tuple[str, int]] | None, secs: float
) -> dict[str, Any]:
    """What brokers tell of each group within so many seconds; MovedError."""
    described = admin.describe_consumer_groups(names, request_timeout=secs)
    found = {name: _result(described[name], secs) for name in names}
    places = None if only is None else [TopicPartition(*place) for place in only]
    asked = {
        name: admin.list_consumer_group_offsets(
            [ConsumerGroupTopicPartitions(name, places)], request_timeout=secs
        )[name]
        for name in names
        if found[name] is not None
    }
    return {
        name: _told(found[name], _result(asked[name], secs)) if name in asked else None
        for name in names
    }


def _result(answer: "Future[Any]", secs: float) -> Any:
    try:
        return answer.result(secs)
    except TimeoutError:
        return None
    except KafkaException as error:
        if error.args[0].code() == KafkaError.NOT_COORDINATOR:
            raise MovedError from error
        return None


def _told(group: Any, committed: Any) -> dict[str, Any]:
    return {
        "state": group.state.name.lower().replace("_", " "),
        "protocol": group.type.name.lower(),
        "assignor": group.partition_assignor,
        "coordinator": group.coordinator.id if group.coordinator else None,
        "members": [
            {
                "id": member.member_id,
                "client": member.client_id,
                "host": member.host.removeprefix("/"),
                "assigned": [
                    (one.topic, one.partition)
                    for one in (member.assignment.topic_partitions if member.assignment else ())
                ],
            }
            for member in group.members
        ],
        "committed": [
            (one.topic, one.partition, one.offset)
            for one in (committed.topic_partitions if committed else ())
            if one.offset >= 0
        ],
    }


if __name__ == "__main__":
    main()

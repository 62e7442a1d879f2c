"""From Kafka into a table: how many messages a second, broker, collector and engine on one machine.

    python -m bench.kafka --messages 3000000

The topic is filled first, by a producer that is not measured; then a collector of a new group reads it
into a table of four columns, messages as they are, one of another group into the same table with the
fields that each event gets unless they are switched off, and one into the tables of the pack `collatz`,
with all that follows there from a message. Beside it, on the same engine and topic, a consumer that inserts each
message by itself, as many do. Rates are by the clock; CPU time says what each part took of it.
"""

import argparse
import http.client
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from bench.collector import running_collector
from bench.measures import Figure
from bench.system import System, running_system

SCRIPT = Path(__file__).parents[1] / "scripts" / "kafka"
TOPIC = "conjecture.data"
PARTITIONS = 4
NAIVE_SECS = 10.0
FIELD_OPTIONS = ("key_field", "topic_key", "partition_key", "offset_key", "headers_key")


@dataclass(frozen=True)
class Target:
    """Where messages go."""

    name: str
    """In the figures, and of the consumer group."""
    sink: Mapping[str, Any]
    """Options of the sink."""
    table: str
    """Where its rows are to be found."""
    adds_fields: bool = False
    """Whether events get the message's key, topic, partition, offset, headers and time."""


PLAIN = Target("table", {"database": "logs", "table": "bench_kafka"}, "logs.bench_kafka")
DEFAULT_FIELDS = Target(
    "table with default fields",
    {**PLAIN.sink, "skip_unknown_fields": True, "date_time_best_effort": True},
    PLAIN.table,
    adds_fields=True,
)
PACK = Target(
    "pack collatz",
    {"database": "rikstv", "table": "intake", "format": "json_as_string"},
    "rikstv.data_series",
)
CREATE = f"""CREATE OR REPLACE TABLE {PLAIN.table} (
    Number UInt64, Step UInt32, Value UInt64, timestamp DateTime DEFAULT now()
) ENGINE = MergeTree ORDER BY (Number, Step) SETTINGS non_replicated_deduplication_window = 10000"""


def main() -> None:
    """Run it by itself and print the figures."""
    parser = argparse.ArgumentParser(prog="python -m bench.kafka", description=__doc__)
    parser.add_argument("--messages", type=int, default=3_000_000)
    parser.add_argument("--brokers", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tailrace-bench-") as name:
        folder = Path(name)
        with running_system(folder / "data") as system:
            for figure in kafka(folder / "kafka", system, options.messages, options.brokers):
                print(f"{figure.name}: {figure.value:,.0f} {figure.unit}")


def kafka(folder: Path, system: System, messages: int, brokers: int = 1) -> list[Figure]:
    """Rates of the collector and of the consumer that inserts one message after the other."""
    with running_broker(folder, brokers) as (servers, pids):
        fill(servers, messages, min(3, brokers))
        system.sql(CREATE)
        figures: list[Figure] = []
        for target in (PLAIN, DEFAULT_FIELDS):
            system.sql(CREATE)
            figures += through_collector(folder, system, servers, messages, pids, target)
        system.sql(CREATE)
        figures.append(one_by_one(system, servers))
        system.sql(f"DROP TABLE {PLAIN.table}")
        set_up_pack(system)
        figures += through_collector(folder, system, servers, messages, pids, PACK)
        system.sql("DROP DATABASE rikstv")
    return figures


def can_run() -> bool:
    """Whether this machine has what brokers need."""
    return all(map(shutil.which, ("java", "mvn")))


def set_up_pack(system: System) -> None:
    """Make the tables of the pack `collatz`."""
    engine = f"http://127.0.0.1:{system.engine_port}"
    command = ["setup", "collatz", "--clickhouse", engine]
    subprocess.run([sys.executable, "-m", "tailrace", *command], check=True, capture_output=True)


@contextmanager
def running_broker(folder: Path, brokers: int) -> Iterator[tuple[str, list[int]]]:
    """Addresses and process ids of a Kafka cluster."""
    command = [str(SCRIPT), "start", "--dir", str(folder), "--brokers", str(brokers)]
    try:
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        state = json.loads((folder / "cluster.json").read_text(encoding="utf-8"))
        yield said.strip().partition("=")[2], [broker["pid"] for broker in state]
    finally:
        subprocess.run([str(SCRIPT), "stop", "--dir", str(folder)], check=True)


def fill(servers: str, messages: int, replicas: int) -> None:
    """Chains of numbers, keyed by the number that each begins with."""
    admin = AdminClient({"bootstrap.servers": servers})
    admin.create_topics([NewTopic(TOPIC, PARTITIONS, replicas)])[TOPIC].result(30)
    producer = Producer({"bootstrap.servers": servers, "linger.ms": 20, "batch.size": 500_000})
    chance = random.Random(1)
    number = step = value = 0
    for _ in range(messages):
        if value <= 1:
            number, step = chance.randrange(2, 10_000_000), 0
            value = number
        text = b'{"Number":%d,"Step":%d,"Value":%d}' % (number, step, value)
        while True:
            try:
                producer.produce(TOPIC, text, b"%d" % number, partition=number % PARTITIONS)
                break
            except BufferError:
                producer.poll(0.05)
        value, step = (3 * value + 1 if value % 2 else value // 2), step + 1
    if producer.flush(120):
        raise TimeoutError("the broker has not taken all messages")


def through_collector(
    folder: Path,
    system: System,
    servers: str,
    messages: int,
    brokers: list[int],
    target: Target,
) -> list[Figure]:
    """From the first rows that are visible until the last."""
    configuration = {
        "sources": {"in": source(servers, target)},
        "sinks": {
            "out": {
                "type": "clickhouse",
                "inputs": ["in"],
                "endpoint": f"http://127.0.0.1:{system.engine_port}",
                **target.sink,
            }
        },
    }
    table = target.table
    engine = [each for each in children(system) if "engine" in each.cmdline()]
    with running_collector(folder / target.name, configuration) as collector:
        while not system.count(table):
            time.sleep(0.01)
        first, at_first = time.monotonic(), system.count(table)
        before = [cpu_secs(engine), cpu_secs(map(psutil.Process, brokers)), collector.cpu().all]
        while (found := system.count(table)) < messages:
            time.sleep(0.05)
        secs, rows = time.monotonic() - first, messages - at_first
        after = [cpu_secs(engine), cpu_secs(map(psutil.Process, brokers)), collector.cpu().all]
        memory_mb = collector.memory_mb()
        if found != messages:
            raise RuntimeError(f"the table has {found:,} rows in place of {messages:,}")
    parts = zip(("engine", "broker", "collector"), before, after, strict=True)
    return [
        Figure(f"Kafka → {target.name}, broker included", rows / secs, "messages/s"),
        *(
            Figure(
                f"the same, CPU of the {part} for a million messages",
                1e9 * (then - now) / rows,
                "ms",
            )
            for part, now, then in parts
        ),
        Figure("the same, memory of the collector", memory_mb, "MB"),
    ]


def source(servers: str, target: Target) -> dict[str, Any]:
    """The collector's source, which lets messages go as they are unless fields are wanted."""
    return {
        "type": "kafka",
        "bootstrap_servers": servers,
        "group_id": target.name,
        "topics": [TOPIC],
        "auto_offset_reset": "earliest",
        "decoding": {"codec": "json"},
        **dict.fromkeys(() if target.adds_fields else FIELD_OPTIONS, ""),
    }


def one_by_one(system: System, servers: str) -> Figure:
    """A consumer that inserts each message and commits its offset now and then."""
    consumer = Consumer(
        {"bootstrap.servers": servers, "group.id": "naive", "auto.offset.reset": "earliest"}
    )
    consumer.subscribe([TOPIC])
    engine = http.client.HTTPConnection("127.0.0.1", system.engine_port)
    path = f"/?query=INSERT%20INTO%20{PLAIN.table}%20FORMAT%20JSONEachRow&async_insert=0"
    inserted, started = 0, 0.0
    while not started or time.monotonic() - started < NAIVE_SECS:
        message = consumer.poll(1)
        if message is None or message.error():
            continue
        started = started or time.monotonic()
        engine.request("POST", path, message.value())
        answer = engine.getresponse()
        answer.read()
        if answer.status != 200:
            raise RuntimeError(f"the engine answered {answer.status}")
        inserted += 1
    secs = time.monotonic() - started
    engine.close()
    consumer.close()
    return Figure("a consumer that inserts each message by itself", inserted / secs, "messages/s")


def children(system: System) -> list[psutil.Process]:
    """The processes under the supervisor."""
    return psutil.Process(system.process.pid).children(recursive=True)


def cpu_secs(processes: Any) -> float:
    """CPU time of processes so far, user and system."""
    times = [process.cpu_times() for process in processes]
    return float(sum(each.user + each.system for each in times))


if __name__ == "__main__":
    os.environ.setdefault("TAILRACE_PACKS", "logs")
    main()

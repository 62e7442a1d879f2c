"""Memory does not grow with what has gone through: the same load again and again, and a look at it.

(A longer one: `python -m bench --only soak --minutes 60`.)
"""

from pathlib import Path
from statistics import mean

import psutil

from tests.integration.collect_system import TCP, Collector, eventually

ROUNDS = 18
LINES = 10_000
MOST_GROWTH_MB = 24.0
"""A batch more or less in memory at the moment of looking is not growth."""


def memory_mb(process_id: int) -> float:
    """Memory of a process and its children that is theirs alone."""
    process = psutil.Process(process_id)
    every = [process, *process.children(recursive=True)]
    return sum(float(each.memory_full_info().uss) for each in every) / 1e6


def sent_events(collector: Collector) -> float:
    """Events that the sink has taken."""
    lines = collector.page("/metrics").splitlines()
    found = [line for line in lines if line.startswith("component_sent_events_total")]
    return sum(float(line.split()[-1]) for line in found if 'component_id="out"' in line)


def test_memory_does_not_grow_with_what_has_gone_through(tmp_path: Path) -> None:
    configuration = {
        "sources": {"tcp": TCP},
        "transforms": {
            "remap": {"type": "remap", "inputs": ["tcp"], "source": ".n = int!(.n) + 1"},
        },
        "sinks": {"out": {"type": "blackhole", "inputs": ["remap"]}},
    }
    # Some fail, so that both ways through a worker are gone.
    tick = b"".join(
        b'{"n":%d,"message":"%s"}\n' % (n, b"x" * 200) if n % 1000 else b'{"n":"no number"}\n'
        for n in range(LINES)
    )
    sizes = []
    with Collector(configuration, tmp_path) as collector:
        for number in range(1, ROUNDS + 1):
            collector.send(tick)
            eventually(
                lambda: sent_events(collector) >= number * LINES,  # noqa: B023
                f"round {number} to be delivered",
            )
            sizes.append(memory_mb(collector.pid))
    third = ROUNDS // 3
    grown = mean(sizes[-third:]) - mean(sizes[third : 2 * third])
    assert grown < MOST_GROWTH_MB, f"memory in MB after each round: {sizes}"

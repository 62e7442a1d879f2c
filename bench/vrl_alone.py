"""What `vrl-python` does by itself: one program over dictionaries, in a plain loop.

    python -m bench.vrl_alone FILE ROWS

Prints the loop's seconds of CPU and of wall time. The events are parsed before, and nothing is done
with the results.
"""

import sys
import time
from itertools import islice
from pathlib import Path

import orjson
from vrl_python import VRLRuntime

PROGRAM = """
.log_level = upcase(string!(.log_level))
.message = strip_whitespace(string!(.message))
.source = downcase(string!(.source))
.host = replace(string!(.host), ".internal", "")
.environment = "production"
"""
"""A remap of five fields."""


def main() -> None:
    """Run the loop once."""
    path, rows = Path(sys.argv[1]), int(sys.argv[2])
    with path.open("rb") as lines:
        events = [orjson.loads(line) for line in islice(lines, rows)]
    execute = VRLRuntime("UTC").execute
    execute(PROGRAM, events[0])
    cpu_before, before = time.process_time(), time.monotonic()
    for event in events:
        _ = execute(PROGRAM, event).processed_event
    print(time.process_time() - cpu_before, time.monotonic() - before)


if __name__ == "__main__":
    main()

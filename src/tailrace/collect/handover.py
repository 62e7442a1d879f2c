"""How a worker process hands over what became of a segment.

The lines, which are megabytes, follow the rest as they are and are read by the system straight into
memory of their own. To unpickle them would hold the interpreter lock for a dozen milliseconds, and
the event loop would stand still for so long.
"""

import mmap
import os
from dataclasses import replace
from multiprocessing.connection import Connection

from tailrace.collect.pipeline import Processed
from tailrace.collect.sink import Bytes


def hand_over(connection: Connection, processed: Processed) -> None:
    """Send what `receive` gets; raises OSError where nobody is there any more."""
    # Sinks that want the same lines share one object.
    distinct = {id(body): body for body in processed.bodies.values()}
    places = {name: list(distinct).index(id(body)) for name, body in processed.bodies.items()}
    sizes = [len(body) for body in distinct.values()]
    connection.send((replace(processed, bodies={}), places, sizes))
    for body in distinct.values():
        rest = memoryview(body)
        while rest:
            rest = rest[os.write(connection.fileno(), rest) :]


def receive(connection: Connection) -> Processed:
    """Wait for what the other side hands over; raises EOFError or OSError where it is gone."""
    processed, places, sizes = connection.recv()
    received = [_read(connection.fileno(), size) for size in sizes]
    made: Processed = replace(
        processed, bodies={name: received[place] for name, place in places.items()}
    )
    return made


def _read(descriptor: int, size: int) -> Bytes:
    if not size:
        return b""
    # Anonymous memory: its pages are made while the system writes into them, without the lock.
    memory = memoryview(mmap.mmap(-1, size))
    done = 0
    while done < size:
        count = os.readv(descriptor, [memory[done:]])
        if not count:
            raise EOFError
        done += count
    return memory

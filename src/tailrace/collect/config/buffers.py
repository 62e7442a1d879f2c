"""Checks that sinks agree which get their events from one buffer."""

from collections.abc import Iterable

from tailrace.collect.config.graph import owner, reached
from tailrace.collect.config.merge import Merged
from tailrace.collect.config.wiring import Wiring


def check_buffers(merged: Merged, sources: Iterable[str], wiring: Wiring) -> None:
    """A source has one buffer: when it is full, new events wait or are dropped for all its sinks."""
    names = [*sources]
    transforms = {name: transform.inputs for name, transform in wiring.transforms.items()}
    components = {*names, *transforms}
    said: set[str] = set()
    for source in names:
        found = reached(source, wiring.order, transforms)
        sinks = [
            name
            for name, sink in wiring.sinks.items()
            if any(owner(taken, components) in found for taken in sink.inputs)
        ]
        for sink in sinks[1:]:
            first, other = (wiring.sinks[name].buffer.when_full for name in (sinks[0], sink))
            if first == other or sink in said:
                continue
            said.add(sink)
            merged.wrong(
                ("sinks", sink, "buffer", "when_full"),
                f"cannot be {other!r} while that of sinks.{sinks[0]} is {first!r}: both get the "
                f"events of sources.{source} from one buffer; give both the same, or each a source "
                "of its own",
            )

"""A way out for generated events, as a runner of generators uses it.

A pack that sends by a protocol of its own names, in `pack.yaml`, a scheme and a function under
`targets`; `tailrace generate --to SCHEME://…` then calls it.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from tailrace.clock import Clock
from tailrace.errors import TailraceError
from tailrace.packs.variables import Value


class GaveUpError(TailraceError):
    """The target did not take events for too long, or we were told to stop while it did not."""


@dataclass
class Tally:
    """What became of the events."""

    sent: int = 0
    sent_bytes: int = 0
    unconfirmed: int = 0
    repeated: int = 0
    not_sent: int = 0
    reconnects: int = 0


@dataclass(frozen=True)
class Patience:
    """How long to try, who may end it, and whom to tell."""

    stop: threading.Event
    clock: Clock
    say: Callable[[str], None]
    give_up_secs: float = 60.0


class Sender(Protocol):
    """Takes lines; `tally` has what became of them."""

    tally: Tally

    def send(self, lines: Sequence[str]) -> None:
        """Hand the lines over. Raises GaveUpError, having counted those that are left."""

    def close(self) -> None:
        """Hand over what is still held back, and end the connection in order."""


class SenderFactory(Protocol):
    """What a scheme under `targets:` in `pack.yaml` names."""

    def __call__(self, target: str, patience: Patience, values: Mapping[str, Value]) -> Sender:
        """A sender to `target`; `values` are the pack's variables by name."""

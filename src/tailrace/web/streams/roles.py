"""Which brokers are controllers.

Clusters with ZooKeeper have one, and say which. Brokers of KRaft name any one of themselves when a client
asks, another each time; there the configuration of each broker says whether it is a controller as well,
and who the controllers are. It is asked for once: a broker's role does not change while it runs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka.admin import ResourceType  # type: ignore[attr-defined]

from tailrace.web.streams.asking import Asking
from tailrace.web.streams.configuration import start_options

MOST_AT_ONCE: Final = 16
QUORUM: Final = ("controller.quorum.voters", "controller.quorum.bootstrap.servers")


@dataclass(frozen=True)
class Role:
    """What a broker's configuration says."""

    is_kraft: bool
    is_controller: bool
    quorum: str
    """The controllers of KRaft, `ID@HOST:PORT` with commas between."""


class Roles:
    """What is known of brokers by their addresses. Not to be shared by threads."""

    def __init__(self) -> None:
        self._known: dict[str, Role] = {}

    def learn(self, asking: Asking, brokers: Sequence[tuple[int, str]]) -> dict[int, Role]:
        """The roles of these brokers; without those that do not tell, or are left for the next time."""
        addresses = {address for _, address in brokers}
        self._known = {each: role for each, role in self._known.items() if each in addresses}
        unknown = [one for one in brokers if one[1] not in self._known][:MOST_AT_ONCE]
        asked = {
            at: start_options(asking, ResourceType.BROKER, str(number)) for number, at in unknown
        }
        for at, answer in asked.items():
            entries = asking.result(answer)
            if entries is not None:
                self._known[at] = _role(entries)
        return {number: self._known[at] for number, at in brokers if at in self._known}


def _role(entries: Any) -> Role:
    values = {name: entry.value or "" for name, entry in entries.items()}
    roles = values.get("process.roles", "")
    quorum = next((values[name] for name in QUORUM if values.get(name)), "")
    return Role(bool(roles), "controller" in roles.split(","), quorum)

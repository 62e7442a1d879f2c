"""Turns events into messages: topic, key, headers and value. Runs in worker processes.

What comes out is one array of msgpack for each event: topic, key, headers, value, and the reason why
there is no topic, or an empty text.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import msgpack
from typing_extensions import override

from tailrace.collect.encoding import EventEncoder, as_text
from tailrace.collect.fields import get_field, split_path
from tailrace.collect.sink import Bytes, Encoder
from tailrace.collect.sinks.kafka.config import KafkaSinkConfig
from tailrace.collect.template import Template, TemplateError
from tailrace.collect.transform import Event

MOST_BYTES = 2**32 - 1
Headers = list[tuple[str, bytes]]


@dataclass(frozen=True)
class Outgoing:
    """A message, or an event that has no topic."""

    topic: str
    key: bytes | None
    headers: Headers
    value: bytes
    reason: str = ""


@dataclass(frozen=True)
class MessageEncoder(Encoder):
    """See the module."""

    config: KafkaSinkConfig

    @override
    def encode(self, events: list[Event]) -> bytes:
        payloads = EventEncoder(self.config.encoding).payloads(events)
        template = Template(self.config.topic)
        pack = msgpack.Packer().pack
        parts: list[bytes] = []
        for event, payload in zip(events, payloads, strict=True):
            topic = reason = ""
            try:
                topic = template.fill(event)
            except TemplateError as error:
                reason = str(error)
            parts.append(pack((topic, self._key(event), self._headers(event), payload, reason)))
        return b"".join(parts)

    def _key(self, event: Event) -> bytes | None:
        if self.config.key_field is None:
            return None
        value = get_field(event, split_path(self.config.key_field))
        return None if value is None else as_text(value).encode()

    def _headers(self, event: Event) -> Headers:
        if self.config.headers_key is None:
            return []
        headers: Any = get_field(event, split_path(self.config.headers_key))
        if not isinstance(headers, dict):
            return []
        return [(name, as_text(value).encode()) for name, value in headers.items()]


def unpack(payloads: Iterable[Bytes]) -> Iterator[Outgoing]:
    """The messages that an encoder has packed."""
    for payload in payloads:
        unpacker = msgpack.Unpacker(max_buffer_size=MOST_BYTES, use_list=True)
        unpacker.feed(payload)
        for topic, key, headers, value, reason in unpacker:
            named = [(name, data) for name, data in headers]
            yield Outgoing(topic, key, named, value, reason)

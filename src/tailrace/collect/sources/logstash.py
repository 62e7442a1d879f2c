"""Source `logstash`: the Lumberjack protocol, versions 1 and 2, as Beats and Logstash speak it.

What is acknowledged is on disk: its events, or what of it could be none, with the reason. Where the
stream is not the protocol's, the connection is closed, and what came before is kept.
"""

import asyncio
from typing import Literal

import orjson
from typing_extensions import override

from tailrace.collect.codec import DecodeError
from tailrace.collect.component import Component
from tailrace.collect.conversations import Conversation, ConversationConfig, ConversationSource
from tailrace.collect.lumberjack import Heard, LumberjackReader
from tailrace.collect.source import Frames, Origin, RejectedLine, Source, SourceContext

LARGE_BYTES = 16 * 1024
"""What is larger is read in a thread: it may be compressed."""


class LogstashConfig(ConversationConfig):
    """Takes events from Beats and Logstash; what is acknowledged is durable."""

    type: Literal["logstash"] = "logstash"

    @property
    @override
    def codec(self) -> str:
        return "logstash"


class LogstashSource(ConversationSource):
    """Serves one address; see the module."""

    @override
    def converse(self, host: str) -> Conversation:
        return LogstashConversation(self, host)


class LogstashConversation(Conversation):
    """One connection."""

    def __init__(self, source: LogstashSource, host: str) -> None:
        self._source = source
        self._host = host
        self._reader = LumberjackReader()

    @override
    async def hear(self, data: bytes) -> bytes:
        if len(data) > LARGE_BYTES:
            heard, lines, bad = await asyncio.to_thread(self._read, data)
        else:
            heard, lines, bad = self._read(data)
        origin = Origin(self._host, (("host", self._host),))
        frames = [Frames(b"".join(lines), len(lines), origin)] if lines else []
        rejected = [RejectedLine(raw, reason, self._host) for raw, reason in bad]
        await self._source.keep(frames, rejected)
        if heard.problem:
            raise ValueError(heard.problem)
        return heard.acknowledgement

    def _read(self, data: bytes) -> tuple[Heard, list[bytes], list[tuple[bytes, str]]]:
        heard = self._reader.feed(data)
        lines: list[bytes] = []
        bad: list[tuple[bytes, str]] = []
        for document in heard.documents:
            try:
                lines.append(_as_line(document, self._source.context))
            except DecodeError as error:
                bad.append((document, error.reason))
        return heard, lines, bad


def _as_line(document: bytes, context: SourceContext) -> bytes:
    events = context.decode(document)
    # What the codec adds, it adds again: the line is the sender's.
    if b"\n" in document or document.endswith(b"\r"):
        return orjson.dumps(events[0]) + b"\n"
    return document + b"\n"


LOGSTASH: Component[Source] = Component(LogstashConfig, LogstashSource)

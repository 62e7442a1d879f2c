"""Options of the sink `http`, as Vector names them."""

import json
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, HttpUrl, model_validator

from tailrace.collect.component import SinkConfig
from tailrace.collect.encoding import CharacterDelimited, Encoding, SinkFraming
from tailrace.collect.options import (
    Acknowledgements,
    BasicAuth,
    Batch,
    BearerAuth,
    ClientTls,
    Request,
)


class HttpRequest(Request):
    """How requests are made and repeated."""

    headers: dict[str, str] = {}
    """Headers of every request; they may replace `Content-Type`."""


class HttpConfig(SinkConfig):
    """Sends events in the bodies of HTTP requests."""

    not_taken: ClassVar[Mapping[str, str]] = {
        **SinkConfig.not_taken,
        "healthcheck": "a request without events could mean anything to a server: none is made",
        "retry_strategy": "which answers are retried is said above",
    }

    type: Literal["http"] = "http"

    uri: HttpUrl
    """Where to; no template."""

    method: Literal["post", "put", "patch", "delete", "get", "head", "options", "trace"] = "post"
    """HTTP method."""

    headers: dict[str, str] = {}
    """Headers of every request; the older place of `request.headers`."""

    encoding: Encoding
    """How an event becomes bytes."""

    framing: SinkFraming | None = None
    """What stands between events. Unset: with the codec json commas, in one JSON array; else
    newlines."""

    payload_prefix: str = ""
    """Text before the body; with the codec json only."""

    payload_suffix: str = ""
    """Text after the body; with the codec json only."""

    compression: Literal["none", "gzip", "zstd", "zlib"] = "none"
    """How bodies are compressed."""

    batch: Batch = Batch()
    """How many events travel together."""

    request: HttpRequest = HttpRequest()
    """How requests are made and repeated."""

    auth: Annotated[BasicAuth | BearerAuth, Field(discriminator="strategy")] | None = None
    """Who we are. Unset: nobody."""

    tls: ClientTls = ClientTls()
    """How identities are proved and checked."""

    acknowledgements: Acknowledgements = Acknowledgements()
    """Always kept."""

    @model_validator(mode="after")
    def _wrapped_is_json(self) -> Self:
        if not self.payload_prefix and not self.payload_suffix:
            return self
        example = "[{}]" if self.is_array else "{}"
        try:
            json.loads(f"{self.payload_prefix}{example}{self.payload_suffix}")
        except json.JSONDecodeError as error:
            raise ValueError(
                "payload_prefix and payload_suffix must make JSON together with a body"
            ) from error
        return self

    @property
    def is_array(self) -> bool:
        """Whether a body is one JSON array."""
        return self.encoding.codec == "json" and self.used_framing.delimiter == b","

    @property
    def used_framing(self) -> SinkFraming:
        """The framing, worked out."""
        if self.framing:
            return self.framing
        if self.encoding.codec == "json":
            return SinkFraming(
                method="character_delimited", character_delimited=CharacterDelimited(delimiter=",")
            )
        return SinkFraming(method="newline_delimited")

    @property
    def content_type(self) -> str:
        """What a body is, unless `request.headers` say so."""
        if self.encoding.codec != "json":
            return "text/plain"
        is_lines = self.used_framing.delimiter == b"\n"
        return "application/x-ndjson" if is_lines else "application/json"

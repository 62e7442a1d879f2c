"""Options of the sink `http`, as Vector names them."""

import json
from typing import Annotated, Literal, Self

from pydantic import Field, HttpUrl, model_validator

from tailrace.collect.component import Options, SinkConfig
from tailrace.collect.encoding import CharacterDelimited, Encoding, SinkFraming
from tailrace.collect.options import Acknowledgements, BasicAuth, Batch, BearerAuth, ClientTls


class HttpRequest(Options):
    """How requests are made and repeated."""

    headers: dict[str, str] = {}
    """Headers of every request; they may replace `Content-Type`."""

    timeout_secs: int = Field(default=60, ge=1)
    """Seconds after which a request without an answer is given up and repeated."""

    retry_initial_backoff_secs: int = Field(default=1, ge=1)
    """Seconds before the first repetition; the following wait as the Fibonacci numbers grow."""

    retry_max_duration_secs: int = Field(default=30, ge=1)
    """Longest wait in seconds between two repetitions."""

    concurrency: int = Field(default=1, ge=1, le=16)
    """Batches of one source that may be on their way at once."""

    rate_limit_duration_secs: int = Field(default=1, ge=1)
    """Seconds that `rate_limit_num` is for."""

    rate_limit_num: int | None = Field(default=None, ge=1)
    """Requests within `rate_limit_duration_secs`, at most."""


class HttpConfig(SinkConfig):
    """Sends events in the bodies of HTTP requests."""

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
    """Who we are."""

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

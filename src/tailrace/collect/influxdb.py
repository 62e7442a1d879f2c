"""What the sinks of InfluxDB share: whom they send to, and as whom.

A point that is written again takes its own place, so it is there once, whatever crashes. InfluxDB 1
answers 400 when it has taken some points of a request and not others: the request is sent again in
halves until those that it does not take are alone.
"""

from collections.abc import Callable, Sequence
from typing import Literal, Self

import httpx
from pydantic import Field, HttpUrl, SecretStr, model_validator
from typing_extensions import override

from tailrace.collect.component import SinkConfig
from tailrace.collect.http_client import TokenAuth
from tailrace.collect.http_delivery import HttpDeliverySink, Target
from tailrace.collect.options import Acknowledgements, Batch, ClientTls, Healthcheck, Request
from tailrace.collect.sink import SinkContext


class InfluxdbBatch(Batch):
    """How many events travel together."""

    max_bytes: int = Field(default=1_000_000, ge=1)
    """Size in bytes of the events, uncompressed, at which a batch is sent."""


class InfluxdbConfig(SinkConfig):
    """With `database` points go to version 1's `/write`; with `bucket`, `org` and `token` to version
    2's `/api/v2/write`."""

    endpoint: HttpUrl
    """Address of InfluxDB."""

    database: str | None = Field(default=None, min_length=1)
    """Version 1: the database, which makes it version 1; else unset."""

    retention_policy_name: str | None = None
    """Version 1: the retention policy; unset: the database's default one."""

    consistency: Literal["any", "one", "quorum", "all"] | None = None
    """Version 1: how many nodes of a cluster must have a point. Unset: as the server has it."""

    username: str | None = None
    """Version 1: who we are. Unset: nobody."""

    password: SecretStr | None = None
    """Version 1: the password of `username`. Unset: none."""

    org: str | None = Field(default=None, min_length=1)
    """Version 2: the organisation; else unset."""

    bucket: str | None = Field(default=None, min_length=1)
    """Version 2: the bucket, which makes it version 2; else unset."""

    token: SecretStr | None = None
    """Version 2: the API token; else unset."""

    batch: InfluxdbBatch = InfluxdbBatch()
    """How many events travel together."""

    request: Request = Request()
    """How requests are made and repeated."""

    tls: ClientTls = ClientTls()
    """How identities are proved and checked."""

    acknowledgements: Acknowledgements = Acknowledgements()
    """Always kept."""

    healthcheck: Healthcheck = Healthcheck()
    """Whether InfluxDB is asked at start."""

    @model_validator(mode="after")
    def _one_version(self) -> Self:
        second = (self.org, self.bucket, self.token)
        is_first, is_second = self.database is not None, any(each is not None for each in second)
        if is_first == is_second or (is_second and None in second):
            raise ValueError(
                "needs either database, for InfluxDB 1, or org, bucket and token, for InfluxDB 2"
            )
        first_only = ("retention_policy_name", "consistency", "username", "password")
        wrong = [name for name in first_only if is_second and getattr(self, name) is not None]
        if wrong:
            raise ValueError(f"{', '.join(wrong)} belong to InfluxDB 1: give database with them")
        return self

    @property
    def version(self) -> Literal[1, 2]:
        """Of InfluxDB."""
        return 2 if self.database is None else 1

    @property
    def write_uri(self) -> str:
        """Where points are written to, without parameters."""
        return self._uri("write" if self.version == 1 else "api/v2/write")

    @property
    def health_uri(self) -> str:
        """What answers whether InfluxDB is well."""
        return self._uri("ping" if self.version == 1 else "health")

    @property
    def write_parameters(self) -> dict[str, str]:
        """Parameters of `write_uri`; none is a secret."""
        given = {
            "db": self.database,
            "rp": self.retention_policy_name,
            "consistency": self.consistency,
            "org": self.org,
            "bucket": self.bucket,
            "precision": "ns",
        }
        return {name: value for name, value in given.items() if value is not None}

    def auth(self) -> httpx.Auth | None:
        """How a request says who makes it."""
        if self.token is not None:
            return TokenAuth("Token", self.token.get_secret_value())
        if self.username is None:
            return None
        password = self.password
        return httpx.BasicAuth(self.username, password.get_secret_value() if password else "")

    def _uri(self, path: str) -> str:
        return f"{str(self.endpoint).rstrip('/')}/{path}"


class InfluxdbSink(HttpDeliverySink):
    """A sink whose encoder writes points; `arrange` is what `Target` says of it."""

    def __init__(
        self,
        config: InfluxdbConfig,
        context: SinkContext,
        transport: httpx.AsyncBaseTransport | None,
        arrange: Callable[[Sequence[bytes], str], Sequence[bytes]],
    ) -> None:
        self._connection = config
        target = Target(
            "POST",
            config.write_uri,
            config.request,
            config.batch,
            config.tls,
            _request,
            config.write_parameters,
            config.auth(),
            arrange,
        )
        super().__init__(target, context, transport)

    @override
    async def check(self) -> str | None:
        config = self._connection
        if not config.healthcheck.enabled:
            return None
        answer = await self._server.get(config.health_uri)
        if isinstance(answer, str):
            return answer
        return None if answer.is_success else f"{config.health_uri} says {answer.status_code}"


def _request(points: Sequence[bytes]) -> tuple[bytes, dict[str, str]]:
    return b"\n".join(points), {"Content-Type": "text/plain; charset=utf-8"}

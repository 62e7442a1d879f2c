"""Options of the sink `influxdb_logs`, as Vector names them."""

from typing import Literal, Self

from pydantic import Field, HttpUrl, SecretStr, model_validator

from tailrace.collect.component import SinkConfig
from tailrace.collect.encoding import FieldChoice
from tailrace.collect.options import Acknowledgements, Batch, ClientTls, Healthcheck, Request


class InfluxdbBatch(Batch):
    """How many events travel together."""

    max_bytes: int = Field(default=1_000_000, ge=1)
    """Size in bytes of the events, uncompressed, at which a batch is sent."""


class InfluxdbLogsConfig(SinkConfig):
    """Writes events into InfluxDB by its line protocol.

    With `database` by version 1's `/write`; with `bucket`, `org` and `token` by version 2's
    `/api/v2/write`.

    A point of InfluxDB is known by its measurement, tags and time: a second one takes the first
    one's place. So events that agree in all three are given times a nanosecond apart, which works
    within one batch. Where events carry coarse times, make them distinct before they come here, for
    instance by adding the file's `offset_key` to the nanoseconds: then a batch that is sent again
    writes the same points again, and each event is there once.
    """

    type: Literal["influxdb_logs"] = "influxdb_logs"

    endpoint: HttpUrl
    """Address of InfluxDB."""

    measurement: str | None = Field(default=None, min_length=1)
    """Measurement of every point; no template. Unset: `namespace` says it."""

    namespace: str | None = Field(default=None, min_length=1)
    """The older way to name the measurement: it is `<namespace>.vector`. Unset:
    `measurement` says it."""

    tags: tuple[str, ...] = ()
    """Fields that become tags, by their paths; all others become fields of the point. `host_key` and
    `source_type_key` always are tags, and `metric_type` is `logs`."""

    message_key: str = Field(default="message", min_length=1)
    """Name of the point's field with the event's `message`."""

    host_key: str = Field(default="host", min_length=1)
    """Name of the tag with the event's `host`."""

    source_type_key: str = Field(default="source_type", min_length=1)
    """Name of the tag with the event's `source_type`."""

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

    encoding: FieldChoice = FieldChoice()
    """Which fields are sent, and how."""

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
    def _one_measurement(self) -> Self:
        if (self.measurement is None) == (self.namespace is None):
            raise ValueError("needs either measurement or, as older files have it, namespace")
        return self

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
    def used_measurement(self) -> str:
        """The measurement, worked out."""
        return self.measurement or f"{self.namespace}.vector"

    @property
    def write_uri(self) -> str:
        """Where points are written to, without parameters."""
        return self._uri("api/v2/write" if self.database is None else "write")

    @property
    def health_uri(self) -> str:
        """What answers whether InfluxDB is well."""
        return self._uri("health" if self.database is None else "ping")

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

    def _uri(self, path: str) -> str:
        return f"{str(self.endpoint).rstrip('/')}/{path}"

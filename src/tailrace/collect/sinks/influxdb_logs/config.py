"""Options of the sink `influxdb_logs`, as Vector names them."""

from typing import Literal, Self

from pydantic import Field, model_validator

from tailrace.collect.encoding import FieldChoice
from tailrace.collect.influxdb import InfluxdbConfig


class InfluxdbLogsConfig(InfluxdbConfig):
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

    encoding: FieldChoice = FieldChoice()
    """Which fields are sent, and how."""

    @model_validator(mode="after")
    def _one_measurement(self) -> Self:
        if (self.measurement is None) == (self.namespace is None):
            raise ValueError("needs either measurement or, as older files have it, namespace")
        return self

    @property
    def used_measurement(self) -> str:
        """The measurement, worked out."""
        return self.measurement or f"{self.namespace}.vector"

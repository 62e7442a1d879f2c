"""Options of the sink `influxdb_metrics`, as Vector names them."""

from typing import ClassVar, Literal

from pydantic import AliasChoices, Field, field_validator

from tailrace.collect.component import METRICS, EventKind
from tailrace.collect.influxdb import InfluxdbConfig


class InfluxdbMetricsConfig(InfluxdbConfig):
    """Writes metrics into InfluxDB by its line protocol."""

    takes: ClassVar[frozenset[EventKind]] = METRICS

    type: Literal["influxdb_metrics"] = "influxdb_metrics"

    default_namespace: str | None = Field(
        default=None, validation_alias=AliasChoices("default_namespace", "namespace")
    )
    """Namespace of metrics that have none; a point's measurement is `<namespace>.<name>`. Unset: the
    name alone."""

    tags: dict[str, str] = {}
    """Tags of every point, beside the metric's own and stronger than those."""

    quantiles: tuple[float, ...] = (0.5, 0.75, 0.9, 0.95, 0.99)
    """Quantiles of a distribution that is a summary, each from 0 to 1; of a histogram it is 0.95."""

    @field_validator("quantiles")
    @classmethod
    def _are_shares(cls, quantiles: tuple[float, ...]) -> tuple[float, ...]:
        wrong = [quantile for quantile in quantiles if not 0 <= quantile <= 1]
        if wrong:
            raise ValueError(f"cannot use {wrong[0]} as a quantile: give shares from 0 to 1")
        return quantiles

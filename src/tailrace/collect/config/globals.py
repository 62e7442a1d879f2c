"""Options outside of components."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from tailrace.collect.component import Options
from tailrace.collect.timezones import TimezoneName

API_WARNING = (
    "Vector's own API is not served; health and metrics are on the port that "
    "TAILRACE_COLLECTOR_PORT says"
)


class Api(Options):
    """Vector's own API; Tailrace's collector has health and metrics pages instead."""

    enabled: bool = False
    """Accepted with a warning: this API is not served."""

    address: str | None = None
    """Accepted, and of no effect."""

    playground: bool = True
    """Accepted, and of no effect."""

    graphql: bool = True
    """Accepted, and of no effect."""


class Healthchecks(Options):
    """Whether sinks are asked for their health at start."""

    enabled: bool = True
    """Ask sinks at start, and say so where one does not answer as it should; the collector starts
    either way."""

    require_healthy: bool | None = None
    """Whether a sink that does not answer ends the start. Unset: no."""


class GlobalAcknowledgements(Options):
    """Vector's default for sinks."""

    enabled: bool | None = None
    """Either is kept: what a source acknowledges is on disk before, whatever its sinks do."""


class Globals(Options):
    """Options outside of components."""

    not_taken: ClassVar[Mapping[str, str]] = {
        "buffer_utilization_ewma_half_life_seconds": "there is no such metric",
        "expire_metrics": "metrics last as long as their component does",
        "expire_metrics_per_metric_set": "metrics last as long as their component does",
        "expire_metrics_secs": "metrics last as long as their component does",
        "latency_ewma_alpha": "there is no such metric",
        "log_schema": "fields have the names that Vector gives them by itself",
        "metrics_storage_refresh_period": "metrics are as they are when they are asked for",
        "proxy": "what is sent goes straight to its address",
        "schema": "events are laid out as Vector's legacy namespace has them",
        "wildcard_matching": "a wildcard that nothing fits is refused",
    }

    data_dir: str | None = None
    """Folder of everything that the collector keeps: buffers, ledger, places in files. Unset:
    TAILRACE_DATA_DIR."""

    timezone: TimezoneName = "local"
    """Zone of timestamps that name none, in programs: a name of the time zone database, or `local`,
    this machine's."""

    api: Api = Api()
    """Vector's own API, which Tailrace does not serve."""

    healthchecks: Healthchecks = Healthchecks()
    """Whether sinks are asked at start."""

    acknowledgements: GlobalAcknowledgements = GlobalAcknowledgements()
    """Vector's default for the sinks' option of this name."""

    sources: dict[str, Any] = Field(default_factory=dict)
    """Where events come from, by name."""

    transforms: dict[str, Any] = Field(default_factory=dict)
    """What happens on the way, by name."""

    sinks: dict[str, Any] = Field(default_factory=dict)
    """Where events go, by name."""

    tests: list[Any] = Field(default_factory=list)
    """What `tailrace test` runs."""

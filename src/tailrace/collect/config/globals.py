"""Options outside of components."""

from typing import Any

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

"""Options outside of components."""

from typing import Any

from pydantic import Field, field_validator

from tailrace.collect.component import Options
from tailrace.collect.vrl import known_timezone

API_WARNING = (
    "Vector's own API is not served; health and metrics are on the port that "
    "TAILRACE_COLLECTOR_PORT says"
)


class Api(Options):
    """Vector's own API; Tailrace's collector has health and metrics pages instead."""

    enabled: bool = False
    address: str | None = None
    playground: bool = True
    graphql: bool = True


class Healthchecks(Options):
    """Whether sinks are asked for their health at start."""

    enabled: bool = True
    require_healthy: bool | None = None


class GlobalAcknowledgements(Options):
    """Vector's default for sinks."""

    enabled: bool | None = None


class Globals(Options):
    """Options outside of components."""

    data_dir: str | None = None
    timezone: str = "local"
    api: Api = Api()
    healthchecks: Healthchecks = Healthchecks()
    acknowledgements: GlobalAcknowledgements = GlobalAcknowledgements()
    sources: dict[str, Any] = Field(default_factory=dict)
    transforms: dict[str, Any] = Field(default_factory=dict)
    sinks: dict[str, Any] = Field(default_factory=dict)
    tests: list[Any] = Field(default_factory=list)

    @field_validator("timezone")
    @classmethod
    def _exists(cls, name: str) -> str:
        if not known_timezone(name):
            raise ValueError(
                f'cannot find the time zone {name!r}: use "local" or one like "Etc/UTC"'
            )
        return name

"""Vector's configuration language, as far as Tailrace runs it.

`load` gives a checked `Config` or a ConfigurationError that lists every problem found, each with
its file, line and option. No option is ever ignored: it is obeyed or refused by name.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from tailrace.collect.component import SinkConfig, SourceConfig
from tailrace.collect.config.load import load_with
from tailrace.collect.config.model import Config, Registries
from tailrace.collect.sinks import SINKS
from tailrace.collect.sources import SOURCES
from tailrace.collect.transforms import TRANSFORMS

__all__ = [
    "INTERPOLATION_FLAG",
    "INTERPOLATION_VARIABLE",
    "Config",
    "Registries",
    "installed_components",
    "load",
]

INTERPOLATION_FLAG = "--dangerously-allow-env-var-interpolation"
"""Vector's own flag: off by default, since a variable's value could add options."""

INTERPOLATION_VARIABLE = "VECTOR_DANGEROUSLY_ALLOW_ENV_VAR_INTERPOLATION"
"""The flag as an environment variable, Vector's own, too."""


def load(paths: Sequence[Path], *, interpolate: bool = False, for_tests: bool = False) -> Config:
    """The configuration that the files make up together.

    `interpolate` replaces `${VAR}` by the environment's values; `for_tests` is content with
    transforms alone. Raises ConfigurationError that lists every problem.
    """
    environment = os.environ if interpolate else None
    return load_with(installed_components(), paths, environment=environment, for_tests=for_tests)


def installed_components() -> Registries:
    """The configuration classes of all components that Tailrace has."""
    return Registries(
        sources={name: cast(type[SourceConfig], c.config) for name, c in SOURCES.items()},
        transforms=TRANSFORMS,
        sinks={name: cast(type[SinkConfig], c.config) for name, c in SINKS.items()},
    )

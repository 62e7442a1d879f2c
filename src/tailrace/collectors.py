"""Where the collectors of one data folder are: the first, and a further one for each worker beyond it.

The pages, `doctor` and `top` ask those that `tailrace up` has started last. They are known by the
folders that it has written, so that whoever knows the data folder knows them all, by the same names.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tailrace.errors import UsageError
from tailrace.settings import Settings

FIRST: Final = "collector"
"""Name of the one that is always there: what other sources than shared ones take comes to it."""

FOLDER: Final = "workers"
PORT_STEP: Final = 10
HIGHEST_PORT: Final = 65535


def addresses(settings: Settings) -> dict[str, str]:
    """Where the own pages of each collector are, by its name; the first one first."""
    workers = {name_of(number): own.collector_address for number, own in started_workers(settings)}
    return {FIRST: settings.collector_address, **workers}


def name_of(number: int) -> str:
    """What a further collector is called."""
    return f"worker {number}"


def worker_settings(settings: Settings) -> Iterator[tuple[int, Settings]]:
    """Number and settings of each further collector to start; none with `workers` at 1.

    Raises UsageError where there are not as many ports.
    """
    for number in range(2, settings.workers + 1):
        own = _settings_of(settings, number)
        if own.collector_port > HIGHEST_PORT:
            raise UsageError(
                f"cannot start {settings.workers} workers from "
                f"TAILRACE_COLLECTOR_PORT={settings.collector_port} on: worker {number} would "
                f"need port {own.collector_port}. Name a lower one, or fewer workers"
            )
        yield number, own


def known_workers(settings: Settings) -> list[tuple[int, Settings]]:
    """Number and settings of every further collector that has ever worked in the data folder."""
    numbers = [
        int(folder.name)
        for folder in (settings.data_dir / FOLDER).glob("*/")
        if folder.name.isdecimal()
    ]
    return [(number, _settings_of(settings, number)) for number in sorted(numbers)]


def started_workers(settings: Settings) -> list[tuple[int, Settings]]:
    """Those that `up` has started last."""
    return [(number, own) for number, own in known_workers(settings) if pipelines_of(own)]


def pipelines_of(own: Settings) -> list[Path]:
    """What a collector with these settings runs."""
    return sorted((own.data_dir / "pipelines").glob("*.yaml"))


def _settings_of(settings: Settings, number: int) -> Settings:
    return settings.model_copy(
        update={
            "data_dir": settings.data_dir / FOLDER / str(number),
            "collector_port": settings.collector_port + PORT_STEP * (number - 1),
        }
    )

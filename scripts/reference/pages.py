"""The pages and what writes each."""

from collections.abc import Callable
from pathlib import Path

from scripts.reference.commands import command_page, settings_page
from scripts.reference.components import (
    codecs_page,
    general_page,
    sinks_page,
    sources_page,
    transforms_page,
)
from scripts.reference.metrics import metrics_page

FOLDER = Path(__file__).parents[2] / "docs" / "reference"

PAGES: dict[str, Callable[[], str]] = {
    "sources.md": sources_page,
    "transforms.md": transforms_page,
    "sinks.md": sinks_page,
    "codecs.md": codecs_page,
    "configuration.md": general_page,
    "settings.md": settings_page,
    "cli.md": command_page,
    "metrics.md": metrics_page,
}

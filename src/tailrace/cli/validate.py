"""`tailrace validate`: checks pipeline files, without running anything."""

from pathlib import Path
from typing import Annotated

import typer

from tailrace.collect.config import INTERPOLATION_FLAG, INTERPOLATION_VARIABLE, load


def validate(
    files: Annotated[list[Path], typer.Argument(help="Configuration files: YAML, TOML or JSON")],
    interpolate: Annotated[
        bool,
        typer.Option(
            INTERPOLATION_FLAG,
            envvar=INTERPOLATION_VARIABLE,
            help="Replace ${VAR} by the environment's value before reading",
        ),
    ] = False,
) -> None:
    """Check pipeline files; exit 78 and list every problem where there is one."""
    config = load(files, interpolate=interpolate)
    for warning in config.warnings:
        typer.echo(f"~ {warning}", err=True)
    for path in files:
        typer.echo(f"√ Loaded [{str(path)!r}]".replace("'", '"'))
    typer.echo(
        f"√ Component configuration: {len(config.sources)} sources, "
        f"{len(config.transforms)} transforms, {len(config.sinks)} sinks"
    )
    typer.echo("-" * 36)
    typer.echo("Validated".rjust(36))

"""`tailrace test`: runs the unit tests that pipeline files contain, as `vector test` does."""

from pathlib import Path
from typing import Annotated

import typer

from tailrace.collect.config import INTERPOLATION_FLAG, INTERPOLATION_VARIABLE, load
from tailrace.collect.config.run_tests import TestResult, run_tests
from tailrace.errors import ConfigurationError


def test(
    files: Annotated[list[Path], typer.Argument(help="Configuration files: YAML, TOML or JSON")],
    interpolate: Annotated[
        bool,
        typer.Option(
            INTERPOLATION_FLAG,
            envvar=INTERPOLATION_VARIABLE,
            help="Replace ${VAR} by the environment's value before reading",
        ),
    ] = False,  # noqa: PT028 - a command, not a test
) -> None:
    """Run the section `tests` of pipeline files; exit 78 where one fails, as Vector does."""
    config = load(files, interpolate=interpolate, for_tests=True)
    typer.echo("Running tests")
    if not config.tests:
        typer.echo("No tests found.")
        return
    failed = [result for result in run_tests(config) if _report(result)]
    if failed:
        typer.echo("\nfailures:")
        for result in failed:
            errors = "\n".join(result.errors)
            typer.echo(f"\ntest {result.name}:\n\n{errors}\n")
        raise typer.Exit(ConfigurationError.exit_code)


def _report(result: TestResult) -> bool:
    """Print how a test went; whether it failed."""
    typer.echo(f"test {result.name} ... {'failed' if result.errors else 'passed'}")
    return bool(result.errors)

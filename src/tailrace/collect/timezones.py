"""The option that names a time zone."""

from typing import Annotated

from pydantic import AfterValidator

from tailrace.collect.vrl import known_timezone


def _check(name: str) -> str:
    if not known_timezone(name):
        raise ValueError(f'cannot find the time zone {name!r}: use "local" or one like "Etc/UTC"')
    return name


TimezoneName = Annotated[str, AfterValidator(_check)]
"""A name of the time zone database, or `local`."""

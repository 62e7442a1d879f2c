"""The further collectors of `--workers`: each takes a share of what sources read in groups.

Of the sources only `kafka` is one that several collectors may have at once: the members of its
consumer group share the partitions. Each further collector runs what these sources feed, and has a
data folder and a port of its own.
"""

import fnmatch
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tailrace.errors import UsageError
from tailrace.settings import Settings

SHARED_SOURCES = frozenset({"kafka"})
PORT_STEP = 10


def worker_settings(settings: Settings) -> list[Settings]:
    """The settings of each further collector; none with `workers` at 1."""
    return [
        settings.model_copy(
            update={
                "data_dir": settings.data_dir / "workers" / str(number),
                "collector_port": settings.collector_port + PORT_STEP * (number - 1),
            }
        )
        for number in range(2, settings.workers + 1)
    ]


def write_shared_parts(pipelines: Sequence[Path], folder: Path) -> list[Path]:
    """Write what further collectors run of `pipelines`; UsageError where nothing can be shared."""
    written = []
    for path in pipelines:
        part = shared_part(yaml.safe_load(path.read_text("utf-8")))
        if part is not None:
            folder.mkdir(parents=True, exist_ok=True)
            own = folder / path.name
            own.touch(mode=0o600)  # it may hold the password for ClickHouse
            own.write_text(yaml.safe_dump(part, sort_keys=False, allow_unicode=True), "utf-8")
            written.append(own)
    if not written:
        raise UsageError(
            "cannot share the work of the packs among workers: none of them reads from Kafka. "
            "Leave out --workers (TAILRACE_WORKERS), or name brokers with BOOTSTRAP_SERVERS"
        )
    return written


def shared_part(pipeline: Mapping[str, Any]) -> dict[str, Any] | None:
    """The sources that collectors can share and all that these feed; None where there are none."""
    sources = {
        name: source
        for name, source in pipeline.get("sources", {}).items()
        if source.get("type") in SHARED_SOURCES
    }
    if not sources:
        return None
    kept: dict[str, Any] = {"sources": sources, "transforms": {}, "sinks": {}}
    names = set(sources)
    found = True
    while found:
        found = False
        for section in ("transforms", "sinks"):
            for name, component in pipeline.get(section, {}).items():
                inputs = [each for each in component["inputs"] if _is_fed(each, names)]
                if inputs != kept[section].get(name, {}).get("inputs", []):
                    kept[section][name] = {**component, "inputs": inputs}
                    names.add(name)
                    found = True
    others = {name: value for name, value in pipeline.items() if name not in {*kept, "tests"}}
    return {**others, **{name: section for name, section in kept.items() if section}}


def _is_fed(given: str, names: set[str]) -> bool:
    """Whether an entry of `inputs` (`a`, `a.output`, `a*`) means one of these components."""
    return any(given == name or given.startswith(f"{name}.") for name in names) or (
        "*" in given and any(fnmatch.fnmatchcase(name, given) for name in names)
    )

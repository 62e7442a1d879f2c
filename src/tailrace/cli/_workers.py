"""What `--workers N` means: which work of packs is divided among N.

- What `kafka` sources read, N collectors share: the members of a consumer group share the partitions.
  Each further collector runs what these sources feed and nothing else (`tailrace.collectors` says
  where).
- What other sources feed through transforms stays in the first collector, which runs these transforms
  in N processes. Those that remember (`dedupe` and its like) are no work for several.
- What goes to its sinks as it came is no work that could be divided.
"""

import fnmatch
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tailrace.collectors import known_workers, pipelines_of, worker_settings
from tailrace.errors import UsageError
from tailrace.settings import Settings

SHARED_SOURCES = frozenset({"kafka"})
REMEMBERING = frozenset({"dedupe", "reduce", "sample", "throttle"})
"""Transforms that work on one event after the other; looked up here, for to import them takes long."""

NAMES_OF_A_MEMBER = ("client.id", "group.instance.id")
"""Options of librdkafka that each member of a group has for itself."""

Pipeline = Mapping[str, Any]


@dataclass(frozen=True)
class Division:
    """How the pipelines of packs are divided; each is known by the name of its file."""

    shared: Mapping[str, Pipeline]
    """What further collectors run."""
    transformed: tuple[str, ...]
    """Those whose transforms several processes of the first collector run."""
    undivided: tuple[str, ...]
    """Those of which nothing can be divided."""

    def describe(self, workers: int) -> str:
        """For a person."""
        parts = []
        if self.shared:
            parts.append(f"{workers} collectors share what {_names(self.shared)} reads from Kafka")
        if self.transformed:
            parts.append(f"{workers} processes run the transforms of {_names(self.transformed)}")
        if self.undivided:
            parts.append(f"{_names(self.undivided)}: nothing to divide")
        return "; ".join(parts)


def divide(pipelines: Sequence[Path], workers: int, *, lacks_brokers: bool = False) -> Division:
    """What several workers would each do; UsageError where there is nothing for more than one.

    `lacks_brokers`: some of the packs would read from Kafka if they were told where.
    """
    shared: dict[str, Pipeline] = {}
    transformed, undivided = [], []
    for path in pipelines:
        pipeline = yaml.safe_load(path.read_text("utf-8"))
        sources = pipeline.get("sources", {})
        in_groups = {name for name, one in sources.items() if one.get("type") in SHARED_SOURCES}
        if in_groups:
            shared[path.stem] = part_of(pipeline, in_groups)
        has_transforms = any(
            _can_transform_apart(part_of(pipeline, {name})) for name in sources.keys() - in_groups
        )
        if has_transforms:
            transformed.append(path.stem)
        if not in_groups and not has_transforms:
            undivided.append(path.stem)
    if not shared and not transformed:
        hint = ", or name brokers with BOOTSTRAP_SERVERS" if lacks_brokers else ""
        raise UsageError(
            f"cannot divide the work of {_names(undivided)} among {workers} workers: "
            "nothing there is read from Kafka or transformed. Leave out --workers "
            f"(TAILRACE_WORKERS){hint}"
        )
    return Division(shared, tuple(transformed), tuple(undivided))


def write_parts(settings: Settings, division: Division) -> dict[int, list[Path]]:
    """Write what each further collector runs; what a former one ran is removed."""
    for _, former in known_workers(settings):
        for path in pipelines_of(former):
            path.unlink()
    written: dict[int, list[Path]] = {}
    for number, own in worker_settings(settings) if division.shared else ():
        folder = own.data_dir / "pipelines"
        folder.mkdir(parents=True, exist_ok=True)
        written[number] = []
        for name, part in division.shared.items():
            path = folder / f"{name}.yaml"
            path.touch(mode=0o600)  # it may hold the password for ClickHouse
            text = yaml.safe_dump(_named(part, number), sort_keys=False, allow_unicode=True)
            path.write_text(text, "utf-8")
            written[number].append(path)
    return written


def part_of(pipeline: Pipeline, sources: Collection[str]) -> dict[str, Any]:
    """Some sources of a pipeline, and all that these feed."""
    kept: dict[str, Any] = {
        "sources": {name: one for name, one in pipeline["sources"].items() if name in sources},
        "transforms": {},
        "sinks": {},
    }
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


def _can_transform_apart(part: Pipeline) -> bool:
    """Whether batches may go through transforms in any order, and there are such."""
    types = {transform["type"] for transform in part.get("transforms", {}).values()}
    return bool(types) and not types & REMEMBERING


def _named(part: Pipeline, number: int) -> dict[str, Any]:
    """With a name of its own for each collector, by which brokers know it: the page Streams shows it.

    The same for a static membership that is asked for: two of one name would shut each other out.
    """
    sources = {}
    for name, source in part["sources"].items():
        options = source.get("librdkafka_options", {})
        known_as = {"client.id": "tailrace", **options}
        own = {key: f"{known_as[key]}-{number}" for key in NAMES_OF_A_MEMBER if key in known_as}
        sources[name] = {**source, "librdkafka_options": {**options, **own}}
    return {**part, "sources": sources}


def _is_fed(given: str, names: set[str]) -> bool:
    """Whether an entry of `inputs` (`a`, `a.output`, `a*`) means one of these components."""
    return any(given == name or given.startswith(f"{name}.") for name in names) or (
        "*" in given and any(fnmatch.fnmatchcase(name, given) for name in names)
    )


def _names(names: Collection[str]) -> str:
    return " and ".join(names)

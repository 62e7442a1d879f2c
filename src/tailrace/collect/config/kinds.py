"""Checks that nobody gets events of a kind that it has no use for: logs, or metrics.

Sources give logs, `log_to_metric` makes metrics of them, and `metric_to_log` the reverse; a transform
that takes both gives what it takes. Vector looks at neighbours alone, and drops in silence what comes
to a sink of the wrong kind through a transform that takes both; here that is refused as well.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tailrace.collect.component import LOGS, METRICS, EventKind, SinkConfig
from tailrace.collect.config.graph import owner
from tailrace.collect.config.merge import Merged
from tailrace.collect.config.wiring import Wiring
from tailrace.collect.transform import TransformConfig
from tailrace.collect.vrl.lexer import code_of

Kinds = frozenset[EventKind]

_TYPE = re.compile(r"""(?<![\w\])"])\.type\b""")

NO_TYPE = (
    "a condition cannot ask for the .type of a metric, which Tailrace does not tell: ask for its "
    ".name"
)
MAKE_METRICS = "it takes metrics: put log_to_metric between the two"
MAKE_LOGS = "it takes logs: put metric_to_log between the two, or it before log_to_metric"
GIVE_JSON = (
    "only the codec json writes metrics: give encoding.codec json, or put metric_to_log between "
    "the two"
)


def check_kinds(merged: Merged, sources: Iterable[str], wiring: Wiring) -> None:
    """Note where events of the wrong kind would come in."""
    given: dict[str, Kinds] = dict.fromkeys(sources, LOGS)
    for name in wiring.order:
        transform = wiring.transforms[name]
        place = ("transforms", name)
        coming = _check(merged, place, transform, transform.takes, given)
        if coming & METRICS and transform.gives is None and _asks_for_type(merged, name):
            merged.wrong(place, NO_TYPE)
        given[name] = coming if transform.gives is None else transform.gives
    for name, sink in wiring.sinks.items():
        _check(merged, ("sinks", name), sink, _taken_by(sink), given)


def _check(
    merged: Merged,
    place: tuple[str, str],
    taker: TransformConfig | SinkConfig,
    takes: Kinds,
    given: Mapping[str, Kinds],
) -> Kinds:
    """The kinds of events that come in."""
    coming: Kinds = frozenset()
    for wanted in taker.inputs:
        kinds = given.get(owner(wanted, given), frozenset())
        coming |= kinds
        if not kinds <= takes:
            listed = merged.data[place[0]][place[1]]["inputs"]
            where = ("inputs", listed.index(wanted)) if wanted in listed else ("inputs",)
            # These are Vector's own words, as far as the colon.
            merged.wrong(
                (*place, *where),
                f"Data type mismatch between {wanted} ({_listed(kinds)}) and {place[1]} "
                f"({_listed(takes)}): {_advice(taker, takes)}",
            )
    return coming


def _advice(taker: TransformConfig | SinkConfig, takes: Kinds) -> str:
    if takes == METRICS:
        return MAKE_METRICS
    return GIVE_JSON if _codec(taker) else MAKE_LOGS


def _taken_by(sink: SinkConfig) -> Kinds:
    return sink.takes | METRICS if _codec(sink) == "json" else sink.takes


def _codec(taker: TransformConfig | SinkConfig) -> str | None:
    codec: str | None = getattr(getattr(taker, "encoding", None), "codec", None)
    return codec


def _listed(kinds: Kinds) -> str:
    return json.dumps(sorted(kinds))


def _asks_for_type(merged: Merged, name: str) -> bool:
    return any(_TYPE.search(code_of(text)) for text in _texts(merged.data["transforms"][name]))


def _texts(value: Any) -> Iterator[str]:
    """Every text in a table: conditions, and names, which do no harm."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)

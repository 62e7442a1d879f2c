"""Who gives events to whom: wildcards, unknown names, cycles and loose ends."""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from graphlib import CycleError, TopologicalSorter

_WILDCARDS = frozenset("*?[")


def expand(patterns: Iterable[str], outputs: Iterable[str], component_id: str) -> list[str]:
    """Inputs with wildcards replaced by the outputs that match, in the outputs' order.

    A wildcard never matches the component itself. What matches nothing is left as it is.
    """
    own = f"{component_id}."
    others = [name for name in outputs if name != component_id and not name.startswith(own)]
    expanded: list[str] = []
    for pattern in patterns:
        matches = [pattern]
        if _WILDCARDS & set(pattern):
            matches = [name for name in others if fnmatchcase(name, pattern)] or matches
        expanded.extend(name for name in matches if name not in expanded)
    return expanded


def order_of(inputs: Mapping[str, Iterable[str]]) -> tuple[list[str], list[str]]:
    """Transforms, each after those that it takes from; and a cycle, where there is one."""
    graph = {
        component: {owner(name, inputs) for name in names} & set(inputs)
        for component, names in inputs.items()
    }
    try:
        return list(TopologicalSorter(graph).static_order()), []
    except CycleError as error:
        return [], [str(name) for name in error.args[1]]


def reached(source: str, order: Iterable[str], takers: Mapping[str, Iterable[str]]) -> set[str]:
    """A source and the transforms that its events come to; `takers` are all inputs by id."""
    found = {source}
    components = {source, *takers}
    for transform in order:
        if any(owner(name, components) in found for name in takers[transform]):
            found.add(transform)
    return found


def owner(output: str, components: Iterable[str]) -> str:
    """The component that an output belongs to: `parse` for `parse.dropped`."""
    return output if output in components else output.partition(".")[0]

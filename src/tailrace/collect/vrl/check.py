"""Is this program fit to run? Asked of a child process.

VRL's compiler ends its process with a segmentation fault on deeply nested programs, so a program is
compiled in a child first, on a stack smaller than ours: what the child survives, we survive. The
user's own text is compiled alone, so that diagnostics point at the right line.
"""

import json
import re
import subprocess
import sys
from typing import Literal

from vrl_python import VRLRuntime

from tailrace.collect.vrl.lexer import calls_of

Kind = Literal["program", "condition"]
"""A condition must end in a boolean, and may not change the event."""

MISSING_FUNCTIONS = frozenset(
    "aggregate_vector_metrics basename dirname encode_csv find_enrichment_table_records "
    "find_vector_metrics from_entries get_enrichment_table_record get_secret get_vector_metric "
    "parse_dnstap parse_yaml remove_secret set_secret set_semantic_meaning split_path "
    "to_entries".split()
)
"""Functions of Vector that this VRL does not have."""

_CHILD_STACK_BYTES = 2 * 1024 * 1024
_CHILD_TIMEOUT_SECS = 30.0
_CHILD = """
import json, sys, threading
from vrl_python import VRLRuntime

def compile_one():
    given = json.load(sys.stdin)
    try:
        found = VRLRuntime(given["timezone"]).check_syntax(given["source"])
    except ValueError as error:
        found = error
    json.dump(str(found) if found else "", sys.stdout)

threading.stack_size(int(sys.argv[1]))
thread = threading.Thread(target=compile_one)
thread.start()
thread.join()
"""
_RESOLVES_TO = re.compile(
    r"this predicate must resolve to a boolean.*?it resolves to ([^\n]+)", re.S
)
_NOT_OURS = ("= see ", "= try ", "= learn ")


def check(source: str, *, kind: Kind = "program", timezone: str = "UTC") -> str | None:
    """What is wrong with a program, in VRL's own words where it has them; None when it is fit."""
    missing = _missing_functions(source)
    if missing:
        return "\n".join(missing)
    found = _compile_in_child(source, timezone)
    if found is None and kind == "condition":
        found = _compile_in_child(as_predicate(source), timezone)
        kind_found = _RESOLVES_TO.search(found or "")
        if kind_found:
            return f"a condition must give a boolean, and this gives {kind_found[1]}"
    return found


def as_predicate(condition: str) -> str:
    """A program that compiles only where `condition` is a boolean, and that gives its value."""
    return f"if (\n{condition}\n) {{ true }} else {{ false }}"


def _missing_functions(source: str) -> list[str]:
    return [
        f'line {line}: Tailrace has no VRL function "{name}", though Vector has; '
        "write it another way or run the file with Vector itself"
        for name, line in calls_of(source)
        if name in MISSING_FUNCTIONS
    ]


def _compile_in_child(source: str, timezone: str) -> str | None:
    given = json.dumps({"source": source, "timezone": timezone})
    try:
        child = subprocess.run(  # noqa: S603 - our own interpreter and our own text
            [sys.executable, "-c", _CHILD, str(_CHILD_STACK_BYTES)],
            input=given.encode(),
            capture_output=True,
            timeout=_CHILD_TIMEOUT_SECS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"the compiler did not end within {_CHILD_TIMEOUT_SECS:.0f} s"
    if child.returncode < 0:
        return "the compiler crashed: the program is nested too deeply or is too long"
    if child.returncode or not child.stdout:
        raise RuntimeError(f"BUG: the compiling child failed: {child.stderr.decode()}")
    return _without_advertisement(json.loads(child.stdout)) or None


def _without_advertisement(diagnostics: str) -> str:
    """Drop the links that VRL repeats under each diagnostic."""
    lines = (
        line.rstrip()
        for line in diagnostics.splitlines()
        if not line.strip().startswith(_NOT_OURS) and line.strip() not in {"=", "│"}
    )
    return "\n".join(line for line in lines if line)


def known_timezone(name: str) -> bool:
    """Whether VRL knows a time zone: `local`, or a name of the time zone database."""
    try:
        VRLRuntime(name)
    except ValueError:
        return False
    return True

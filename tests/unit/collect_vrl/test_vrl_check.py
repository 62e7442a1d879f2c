"""Programs are judged in a child process, with VRL's own words at the user's own lines."""

import pytest

from tailrace.collect.vrl import check, known_timezone
from tailrace.collect.vrl.check import MISSING_FUNCTIONS


def test_a_good_program_has_nothing_wrong() -> None:
    assert check('.level = upcase(string!(.level))\n.tag = "x"') is None


def test_diagnostics_point_at_the_users_line() -> None:
    found = check(".x = 1\n\n.y = parse_json(.message)")
    assert found is not None
    assert "error[E103]: unhandled fallible assignment" in found
    assert ":3:6" in found
    assert "parse_json!(.message)" not in found or "update the expression" in found
    assert "errors.vrl.dev" not in found


@pytest.mark.parametrize(
    "program",
    [
        "x = " + "(" * 5000 + "1" + ")" * 5000,
        "x = " + "!" * 20_000 + "true",
        "x = 1" + " + 1" * 20_000,
        "if true {1}" + " else if false {1}" * 3000,
    ],
    ids=["brackets", "negations", "sums", "branches"],
)
def test_a_program_that_crashes_the_compiler_is_refused(program: str) -> None:
    assert check(program) == "the compiler crashed: the program is nested too deeply or is too long"


def test_a_missing_function_is_refused_by_name_and_line() -> None:
    found = check('.a = 1\n.b = basename!(.path) # basename!(x)\n.c = "dirname(.x)"')
    assert found is not None
    assert found.startswith('line 2: Tailrace has no VRL function "basename", though Vector has')
    assert "dirname" not in found


def test_the_list_of_missing_functions_is_true() -> None:
    """Each is unknown to the compiler; one that it learns must leave the list."""
    from vrl_python import VRLRuntime

    runtime = VRLRuntime("UTC")
    known = [
        name
        for name in MISSING_FUNCTIONS
        if "undefined function" not in str(runtime.check_syntax(f"{name}()"))
    ]
    assert known == []


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("(int(.status) ?? 0) >= 500", None),
        ('x = .status\nx == "a"', None),
        (".status >= 500", "unhandled error"),
        (".status", "a condition must give a boolean, and this gives any"),
        ('"yes"', "a condition must give a boolean, and this gives string"),
    ],
)
def test_conditions_must_be_boolean_and_safe(condition: str, message: str | None) -> None:
    found = check(condition, kind="condition")
    assert (found is None) if message is None else (found is not None and message in found)


def test_time_zones() -> None:
    assert known_timezone("local")
    assert known_timezone("Europe/Oslo")
    assert not known_timezone("Europe/Nowhere")

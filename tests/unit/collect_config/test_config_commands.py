"""`tailrace validate` and `tailrace test`, as they are called."""

import subprocess
import sys
from pathlib import Path

import pytest

PIPELINE = """
sources:
  lines: {type: stdin}
transforms:
  shout:
    type: remap
    inputs: [lines]
    reroute_dropped: true
    drop_on_error: true
    source: '.message = upcase(string!(.message)); .limit = ${LIMIT}'
  loud: {type: filter, inputs: [shout], condition: '.message != "QUIET"'}
sinks:
  out: {type: clickhouse, inputs: [loud], endpoint: "http://127.0.0.1:8123", table: t}
"""
TESTS = """
tests:
  - name: upper case
    inputs:
      - {insert_at: shout, value: hello}
      - {insert_at: shout, type: log, log_fields: {message: there, deep.field: 1}}
      - {insert_at: loud, type: vrl, source: '.message = "late"; .at = now()'}
    outputs:
      - extract_from: [loud]
        expected_event_count: 3
        conditions:
          - .message == "HELLO"
          - {type: vrl, source: 'assert_eq!(.deep.field, 1)'}
          - is_timestamp(.at)
  - name: nothing
    inputs: [{insert_at: shout, value: quiet}]
    no_outputs_from: [loud, shout.dropped]
  - name: dropped
    inputs: [{insert_at: shout, type: vrl, source: .message = 1}]
    outputs: [{extract_from: shout.dropped, conditions: ['.metadata.dropped.reason == "error"']}]
"""
FAILING = """
tests:
  - name: wrong
    inputs: [{insert_at: shout, value: hello}]
    outputs:
      - extract_from: loud
        expected_event_count: 2
        conditions: ['.message == "hello"', 'assert_eq!(.message, "x")', 'true']
    no_outputs_from: [shout]
  - name: empty
    inputs: [{insert_at: loud, value: QUIET}]
    outputs: [{extract_from: loud, conditions: ['true']}]
  - name: fine
    inputs: [{insert_at: loud, value: x}]
    outputs: [{extract_from: loud, conditions: ['true']}]
"""


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tailrace", *arguments],
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", **environment},
        check=False,
    )


@pytest.fixture
def pipeline(tmp_path: Path) -> Path:
    path = tmp_path / "vector.yaml"
    path.write_text(PIPELINE.replace("${LIMIT}", "5") + TESTS)
    return path


def test_validate_says_what_it_saw(pipeline: Path) -> None:
    done = run("validate", str(pipeline))
    assert done.returncode == 0, done.stderr
    assert f'√ Loaded ["{pipeline}"]' in done.stdout
    assert "1 sources, 2 transforms, 1 sinks" in done.stdout
    assert done.stdout.rstrip().endswith("Validated")
    assert (
        f'{pipeline}:5: transforms.shout: nobody takes the events of "shout.dropped"' in done.stderr
    )


def test_validate_lists_all_problems_and_exits_78(tmp_path: Path) -> None:
    path = tmp_path / "vector.yaml"
    path.write_text("sources:\n  a: {type: stdin, max_lenght: 1}\n  b: {type: files}\nsinks: {}\n")
    done = run("validate", str(path))
    assert done.returncode == 78
    assert done.stdout == ""
    assert (
        f'{path}:2: sources.a.max_lenght: unknown option; did you mean "max_length"?' in done.stderr
    )
    assert f'{path}:3: sources.b.type: Tailrace has no source "files"' in done.stderr
    assert f"{path}:4: sinks: a pipeline needs at least one of the sinks" in done.stderr


@pytest.mark.parametrize("how", ["flag", "variable"])
def test_variables_only_where_asked_for(tmp_path: Path, how: str) -> None:
    path = tmp_path / "vector.yaml"
    path.write_text(PIPELINE)
    assert run("validate", str(path), LIMIT="5").returncode == 78
    if how == "flag":
        done = run("validate", "--dangerously-allow-env-var-interpolation", str(path), LIMIT="5")
    else:
        variable = {"VECTOR_DANGEROUSLY_ALLOW_ENV_VAR_INTERPOLATION": "true", "LIMIT": "5"}
        done = run("validate", str(path), **variable)
    assert done.returncode == 0, done.stderr


def test_tests_that_pass(pipeline: Path) -> None:
    done = run("test", str(pipeline))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines() == [
        "Running tests",
        "test upper case ... passed",
        "test nothing ... passed",
        "test dropped ... passed",
    ]


def test_tests_that_fail_say_why_and_exit_78(pipeline: Path, tmp_path: Path) -> None:
    pipeline.write_text(PIPELINE.replace("${LIMIT}", "5"))
    failing = tmp_path / "tests.yaml"
    failing.write_text(FAILING)
    done = run("test", str(pipeline), str(failing))
    assert done.returncode == 78
    assert "test wrong ... failed\ntest empty ... failed\ntest fine ... passed\n" in done.stdout
    assert 'expected 2 events from "loud", but there are 1' in done.stdout
    assert "  condition[0]: it is false" in done.stdout
    assert (
        '  condition[1]: function call error for "assert_eq" at (0:25): '
        'assertion failed: "HELLO" == "x"' in done.stdout
    )
    assert "condition[2]" not in done.stdout
    assert '"message":"HELLO"' in done.stdout
    assert 'expected no events from "shout", but there are:' in done.stdout
    assert 'no events from "loud"' in done.stdout


def test_transforms_alone_can_be_tested(tmp_path: Path) -> None:
    path = tmp_path / "vector.yaml"
    path.write_text(
        "transforms:\n"
        "  b: {type: filter, inputs: [a], condition: .x == 1}\n"
        "  a: {type: remap, inputs: ['from_*', c], source: .x = 1}\n"
        "  c: {type: remap, inputs: [from_elsewhere], source: .y = 1}\n"
        "tests:\n"
        "  - name: through all\n"
        "    inputs: [{insert_at: c, value: x}]\n"
        "    outputs: [{extract_from: b, conditions: [.x == 1 && .y == 1]}]\n"
    )
    done = run("test", str(path))
    assert (done.returncode, done.stdout) == (0, "Running tests\ntest through all ... passed\n")
    done = run("validate", str(path))
    assert done.returncode == 78
    assert 'no component gives "from_elsewhere"' in done.stderr
    assert "a pipeline needs at least one of the sinks" in done.stderr

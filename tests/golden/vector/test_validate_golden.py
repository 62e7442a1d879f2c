"""What `tailrace validate` prints of wrong files, and how it ends: the golden cases `wrong_*.yaml`."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tailrace.collect.config import load
from tailrace.errors import ConfigurationError

WRONG = sorted(Path(__file__).parent.glob("wrong_*.yaml"))
MISTAKES = Path(__file__).parent / "components" / "mistakes.yaml"


def validate(folder: Path, files: dict[str, str]) -> subprocess.CompletedProcess[str]:
    for name, text in files.items():
        (folder / name).write_text(text)
    return subprocess.run(
        [sys.executable, "-m", "tailrace", "validate", *files],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_wrong_files_end_with_78_and_every_problem(tmp_path: Path) -> None:
    path = next(path for path in WRONG if path.stem == "wrong_options")
    case = yaml.safe_load(path.read_text())
    done = validate(tmp_path, case["files"])
    assert done.returncode == 78
    assert done.stdout == ""
    for problem in case["problems"]:
        assert problem.replace("{dir}/", "").partition("…")[0] in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "case", yaml.safe_load(MISTAKES.read_text()), ids=lambda case: case["name"]
)
def test_a_typical_mistake(case: dict[str, Any], tmp_path: Path) -> None:
    # In this process: the command itself is held above.
    path = tmp_path / "vector.yaml"
    path.write_text(case["file"])
    with pytest.raises(ConfigurationError) as caught:
        load([path])
    found = [problem.removeprefix(f"{tmp_path}/") for problem in caught.value.problems]
    expected = case["says"]
    shown = [
        said if said.endswith("…") and one.startswith(said[:-1]) else one
        for said, one in zip(expected, found, strict=False)
    ]
    assert [*shown, *found[len(expected) :]] == expected

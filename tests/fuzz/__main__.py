"""`make fuzz`: atheris looks for bytes that break one of `fuzz_*.py`, led by what code they reach.

    python -m tests.fuzz [--secs 60] [TARGET...]

What it has learnt stays in `build/fuzz/<target>/`; the bytes that broke a target are there, too, in
a file `crash-…`. Give them to the target's SEEDS with the fix.
"""

import argparse
import subprocess
import sys
from hashlib import sha256
from importlib import import_module
from pathlib import Path

import atheris

FOLDER = Path("build/fuzz")
LONGEST_INPUT_BYTES = 4096
LONGEST_RUN_SECS = 20
MOST_MEMORY_MB = 2000


def targets() -> list[str]:
    """Names of all."""
    return sorted(
        path.stem.removeprefix("fuzz_") for path in Path(__file__).parent.glob("fuzz_*.py")
    )


def look(target: str, secs: int) -> None:
    """Feed one target in this process; does not come back."""
    with atheris.instrument_imports(include=["tailrace"]):
        module = import_module(f"tests.fuzz.fuzz_{target}")
    corpus = FOLDER / target / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for seed in module.SEEDS:
        (corpus / sha256(seed).hexdigest()[:16]).write_bytes(seed)
    options = [
        f"-max_total_time={secs}",
        f"-max_len={LONGEST_INPUT_BYTES}",
        f"-timeout={LONGEST_RUN_SECS}",
        f"-rss_limit_mb={MOST_MEMORY_MB}",
        f"-artifact_prefix={FOLDER / target}/",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], *options, str(corpus)], module.fuzz)
    atheris.Fuzz()


def main() -> int:
    """All targets that are asked for, one after the other; 1 where one of them broke."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(targets()))
    parser.add_argument("--secs", type=int, default=60, help="for all of them together")
    parser.add_argument("--in-this-process", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    chosen = given.targets or targets()
    each_secs = max(1, given.secs // len(chosen))
    if given.in_this_process:
        look(chosen[0], each_secs)
    broken = [target for target in chosen if not _holds(target, each_secs)]
    print(f"broken: {', '.join(broken)}" if broken else f"{len(chosen)} targets hold")  # noqa: T201
    return 1 if broken else 0


def _holds(target: str, secs: int) -> bool:
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", "--in-this-process", "--secs", str(secs), target],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    runs = [line for line in done.stdout.splitlines() if "number_of_executed_units" in line]
    print(f"{target}: {runs[-1].split()[-1] if runs else 'no'} runs", flush=True)  # noqa: T201
    if done.returncode:
        said = [line for line in done.stdout.splitlines() if not line.startswith("#")]
        print("\n".join(said)[-6000:], flush=True)  # noqa: T201
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())

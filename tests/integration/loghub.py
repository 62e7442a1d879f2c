"""Where the real logs are that tests read: files of the Loghub collection, which we do not ship."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def real_log(name: str) -> Path:
    """One of the four files; the calling test is skipped where it is not there.

    They lie beside the checkout, in `../shared/data/loghub`, or where TAILRACE_LOGHUB_DIR says.
    """
    folder = Path(os.environ.get("TAILRACE_LOGHUB_DIR", ROOT.parent / "shared/data/loghub"))
    path = folder / f"{name}_2k.log"
    # Not `need`: the files are nobody's to install, so CI may be without them, too.
    if not path.is_file():
        pytest.skip(f"{path.name} of Loghub is not in {folder}; TAILRACE_LOGHUB_DIR may say")
    return path

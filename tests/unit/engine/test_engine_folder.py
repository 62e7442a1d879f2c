"""A folder that cannot be written into is named before the engine is loaded."""

from pathlib import Path

import pytest

from tailrace.engine.database import Database
from tailrace.errors import UsageError


@pytest.mark.parametrize("taken", ["data", "data/clickhouse", "data/clickhouse.xml/x"])
def test_a_folder_that_cannot_be_made_is_named(taken: str, tmp_path: Path) -> None:
    blocker = tmp_path / taken
    blocker.parent.mkdir(parents=True, exist_ok=True)
    blocker.touch()
    with pytest.raises(UsageError, match=r"cannot write into .*TAILRACE_DATA_DIR"):
        Database(tmp_path / "data")

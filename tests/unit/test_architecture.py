"""ARCHITECTURE.md tells the truth about the tree."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "tailrace"


def test_the_folder_table_names_what_is_there_and_nothing_else() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    named = {name.rstrip("/") for row in rows for name in re.findall(r"`([^`]+)`", row)}
    there = {
        path.name
        for path in PACKAGE.iterdir()
        if (path.is_dir() and (path / "__init__.py").exists()) or path.suffix == ".py"
    } - {"__init__.py", "__main__.py"}
    assert named == there


def test_every_path_it_mentions_exists() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    mentioned = re.findall(r"`((?:collect|engine|store|search|web|packs|cli)/[^`]*)`", text)
    missing = [path for path in mentioned if not (PACKAGE / path).exists()]
    assert not missing

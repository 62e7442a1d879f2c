"""The little of Markdown that the pages need."""

import re
from collections.abc import Iterable, Sequence

GENERATED = "<!-- Written by scripts/reference from the code: `make docs`. Do not edit. -->"


def page(title: str, *parts: str) -> str:
    """A whole page; empty parts are left out."""
    return "\n\n".join([GENERATED, f"# {title}", *filter(None, parts)]) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table, or nothing where there are no rows."""
    lines = ["| " + " | ".join(map(cell, row)) + " |" for row in rows]
    if not lines:
        return ""
    return "\n".join(["| " + " | ".join(head) + " |", "|" + " --- |" * len(head), *lines])


def cell(text: str) -> str:
    """Text in one line, fit for a table."""
    return re.sub(r"\s+", " ", text).strip().replace("|", "\\|")


def paragraphs(docstring: str) -> str:
    """A docstring as Markdown: its lines joined, what is indented as it stands, lists kept."""
    blocks = re.split(r"\n\s*\n", docstring.strip())
    return "\n\n".join(_block(block) for block in blocks)


def _block(block: str) -> str:
    lines = block.splitlines()
    if all(line.startswith("    ") for line in lines):
        return block
    joined: list[str] = []
    for line in lines:
        if joined and not line.startswith("- "):
            joined[-1] += f" {line.strip()}"
        else:
            joined.append(line)
    return "\n".join(joined)


def code(value: object) -> str:
    """Something as code."""
    return f"`{value}`"

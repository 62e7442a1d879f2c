"""What there is to know about one kind of data, one folder each."""

from tailrace.packs.registry import Pack, find_packs, find_required

__all__ = ["Pack", "find_packs", "find_required"]

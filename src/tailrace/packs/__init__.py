"""What there is to know about one kind of data, one folder each."""

from tailrace.packs.registry import Pack, find_packs, find_required, find_usable

__all__ = ["Pack", "find_packs", "find_required", "find_usable"]

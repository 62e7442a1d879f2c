"""Where events come from, one protocol a file."""

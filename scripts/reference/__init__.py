"""Writes `docs/reference/` from the code: option models, settings, metrics and commands.

`make docs` runs it, and a test holds the files against it, so the reference cannot fall behind.
"""

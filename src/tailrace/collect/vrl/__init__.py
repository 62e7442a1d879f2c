"""VRL, Vector's language for events: the one place that knows how it is run from Python.

`check` says what is wrong with a program without danger to this process; `Program` runs one over
batches of events, so that a failing event never touches its neighbours. What was chosen and how
fast it is: docs/decisions/004-vrl.md.
"""

from tailrace.collect.vrl.check import Kind, check, known_timezone
from tailrace.collect.vrl.program import Failure, Program

__all__ = ["Failure", "Kind", "Program", "check", "known_timezone"]

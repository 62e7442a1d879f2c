"""Vector's configuration language, as far as Tailrace runs it.

`load` gives a checked `Config` or a ConfigurationError that lists every problem found, each with
its file, line and option. No option is ever ignored: it is obeyed or refused by name.
"""

from tailrace.collect.config.model import Config

__all__ = ["Config"]

"""Every error that Tailrace raises on purpose.

    TailraceError                     exit 1: something failed, and the message says what to do
    ├── UsageError                    exit 2: the command line or a request is wrong
    │   └── QueryError                a search or its parameters cannot be understood; has a place
    ├── ConfigurationError            exit 78: a configuration file is wrong (Vector's exit code)
    ├── PortTakenError                a port that we want to listen on is in use
    └── StoreError                    ClickHouse refused; has ClickHouse's own error code
        ├── StoreUnavailableError     ClickHouse cannot be reached; trying again may help
        └── TableMissingError         ClickHouse has no such table; `tailrace setup` makes ours

Messages begin "cannot …", quote the input and say what to do. Raise them `from` their cause.
"""

from typing import ClassVar


class TailraceError(Exception):
    """Base of all; its text is fit to be shown to a person as it stands."""

    exit_code: ClassVar[int] = 1


class UsageError(TailraceError):
    """A flag, a setting or a request that makes no sense."""

    exit_code: ClassVar[int] = 2


class QueryError(UsageError):
    """A search that cannot be understood.

    `text` is the whole query, `position` the 0-based character where the trouble starts.
    """

    def __init__(self, message: str, *, text: str = "", position: int = 0) -> None:
        super().__init__(message)
        self.text = text
        self.position = position

    def with_caret(self) -> str:
        """The message under the query, with a caret at the place."""
        return f"{self.text}\n{' ' * self.position}^\n{self}" if self.text else str(self)


class ConfigurationError(TailraceError):
    """A configuration file that cannot be run; lists every problem that was found."""

    exit_code: ClassVar[int] = 78

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class PortTakenError(TailraceError):
    """Somebody else listens on a port that we want.

    `setting` is what moves us elsewhere, `moved` a value of it that would.
    """

    def __init__(self, host: str, port: int, setting: str, moved: str = "") -> None:
        moved = moved or str(port + 10 if port <= 65525 else port - 10)
        super().__init__(
            f"cannot listen on {host}:{port}: the port is taken. `ss -ltnp 'sport = :{port}'` "
            f"shows who holds it; {setting}={moved} moves Tailrace to another"
        )
        self.port = port
        self.setting = setting


class StoreError(TailraceError):
    """ClickHouse understood the request and refused it; `code` is ClickHouse's error code."""

    def __init__(self, message: str, *, code: int = 0) -> None:
        super().__init__(message)
        self.code = code


class StoreUnavailableError(StoreError):
    """ClickHouse does not answer at its address."""


class TableMissingError(StoreError):
    """ClickHouse has no table, or no database, of a name; a setup may be on its way to make it."""

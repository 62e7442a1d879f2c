"""HTTP sessions: a handle that is kept between requests, with its temporary tables and settings.

A session serves one request at a time; a second one at the same time is refused with code 373, as
ClickHouse does. A session that is not used for its timeout is closed.
"""

import threading
from dataclasses import dataclass

from tailrace.clock import Clock
from tailrace.engine.database import Database, Handle
from tailrace.engine.exceptions import ClickHouseError


@dataclass
class Session:
    """One client's conversation."""

    name: str
    handle: Handle
    timeout_secs: int
    database: str = "default"
    """The one that the session's own USE chose."""

    in_use: bool = True
    expires: float = 0.0


class Sessions:
    """All sessions; may be used from any thread."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._sessions: dict[str, Session] = {}
        self._lock = threading.Lock()

    def take(self, name: str, timeout_secs: int, *, must_exist: bool) -> Session:
        """The session of that name for one request; a new one unless it must exist."""
        self.expire()
        with self._lock:
            session = self._sessions.get(name)
            if session is None:
                if must_exist:
                    raise ClickHouseError(372, "SESSION_NOT_FOUND", f"Session {name} not found")
                session = Session(name, self._database.open_handle(), timeout_secs)
                self._sessions[name] = session
            elif session.in_use:
                raise ClickHouseError(
                    373, "SESSION_IS_LOCKED", f"Session {name} is locked by a concurrent client"
                )
            session.in_use = True
            session.timeout_secs = timeout_secs
            return session

    def give_back(self, session: Session, *, close: bool = False) -> None:
        """The request is done; its session waits for the next, or is closed."""
        with self._lock:
            session.in_use = False
            session.expires = self._clock.monotonic() + session.timeout_secs
            if close:
                self._sessions.pop(session.name, None)
        if close:
            session.handle.close()

    def expire(self) -> None:
        """Close the sessions whose time is over."""
        now = self._clock.monotonic()
        with self._lock:
            over = [s for s in self._sessions.values() if not s.in_use and s.expires < now]
            for session in over:
                del self._sessions[session.name]
        for session in over:
            session.handle.close()

    def close(self) -> None:
        """Close all sessions."""
        with self._lock:
            sessions = list(self._sessions.values())
            self._sessions.clear()
        for session in sessions:
            session.handle.close()

    def __len__(self) -> int:
        return len(self._sessions)

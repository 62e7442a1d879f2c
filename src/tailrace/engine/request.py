"""What one HTTP request asks for, as ClickHouse's HTTP interface defines it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import parse_qsl, unquote_to_bytes

from tailrace.engine.exceptions import ClickHouseError

_OPTIONS = frozenset(
    """query database default_format session_id session_timeout session_check query_id user password
    quota_key role compress decompress wait_end_of_query buffer_size client_protocol_version
    stacktrace enable_http_compression http_zlib_compression_level send_progress_in_http_headers
    http_headers_progress_interval_ms cancel_http_readonly_queries_on_client_close
    add_http_cors_header http_response_buffer_size http_wait_end_of_query close_session
    http_write_exception_in_output_format format output_format""".split()
)
"""Parameters that we act on ourselves; each other one is a setting and ClickHouse's to judge."""

_EXTERNAL_SUFFIXES = ("_format", "_types", "_structure")

DEFAULT_SESSION_TIMEOUT_SECS = 60
MAX_SESSION_TIMEOUT_SECS = 3600
_MOST_DIGITS = 9
"""Python itself refuses to read numbers of thousands of digits."""


@dataclass
class Request:
    """One request but for its body."""

    method: str
    path: str
    headers: dict[str, str]
    options: dict[str, str] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    tables: dict[str, dict[str, str]] = field(default_factory=dict)
    """Of each table that is sent along: its `format`, and its `structure` or `types`."""

    @classmethod
    def parse(cls, method: str, target: bytes, headers: dict[str, str]) -> Self:
        """Read the URL's and the headers' part of a request."""
        path, _, query = target.partition(b"?")
        request = cls(method, unquote_to_bytes(path).decode("utf-8", "replace"), headers)
        fields = parse_qsl(
            query.decode("latin-1"),
            keep_blank_values=True,
            encoding="utf-8",
            errors="surrogateescape",
        )
        request.add(fields, external=request.is_form)
        for option, header in (("database", "database"), ("default_format", "format")):
            if value := headers.get(f"x-clickhouse-{header}"):
                request.options[option] = value
        return request

    def add(self, fields: Iterable[tuple[str, str]], *, external: bool = False) -> None:
        """Take in more fields; `external` when they may describe tables sent along."""
        for name, value in fields:
            table, suffix = _external(name) if external else ("", "")
            if name.startswith("param_"):
                self.params[name[6:]] = value
            elif name in _OPTIONS:
                self.options[name] = value
            elif table:
                self.tables.setdefault(table, {})[suffix] = value
            else:
                self.settings[name] = value

    @property
    def is_form(self) -> bool:
        """Whether the body is a form with fields and tables."""
        return self.headers.get("content-type", "").lower().startswith("multipart/form-data")

    @property
    def query(self) -> bytes:
        """The query's part that stands in the URL or in a form."""
        return self.options.get("query", "").encode("utf-8", "surrogateescape")

    @property
    def reads_only(self) -> bool:
        """Whether the request may not change anything, whatever its query says."""
        return self.method in ("GET", "HEAD") or self.settings.get("readonly", "0") != "0"

    @property
    def requested_format(self) -> str | None:
        """The format that the request's parameters insist on."""
        return self.options.get("output_format") or self.options.get("format")

    @property
    def default_format(self) -> str:
        """The format of an answer whose query names none."""
        return self.options.get("default_format") or "TabSeparated"

    def flag(self, name: str, default: bool = False) -> bool:
        """Whether an option is on."""
        value = self.options.get(name)
        return default if value is None else value not in ("0", "false", "")

    @property
    def protocol_version(self) -> int:
        """The client's revision of the native protocol; 0 for none."""
        value = self.options.get("client_protocol_version", "0")
        return int(value) if value.isdecimal() and len(value) <= _MOST_DIGITS else 0

    @property
    def session_timeout_secs(self) -> int:
        """How long a session is kept after its last request."""
        text = self.options.get("session_timeout")
        if text is None:
            return DEFAULT_SESSION_TIMEOUT_SECS
        if not text.isdecimal():
            raise ClickHouseError(
                374, "INVALID_SESSION_TIMEOUT", f"Invalid session timeout: '{text}'"
            )
        if len(text) > _MOST_DIGITS or int(text) > MAX_SESSION_TIMEOUT_SECS:
            raise ClickHouseError(
                374,
                "INVALID_SESSION_TIMEOUT",
                f"Session timeout '{text}' is larger than max_session_timeout: "
                f"{MAX_SESSION_TIMEOUT_SECS}. Maximum session timeout could be modified in "
                "configuration file.",
            )
        return int(text)


def _external(name: str) -> tuple[str, str]:
    for suffix in _EXTERNAL_SUFFIXES:
        if name.endswith(suffix):
            return name.removesuffix(suffix), suffix[1:]
    return "", ""

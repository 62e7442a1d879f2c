"""What one HTTP request asks for, as ClickHouse's HTTP interface defines it."""

from base64 import b64decode
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

_NOT_SETTINGS = {
    "query", "database", "default_format", "session_id", "session_timeout", "session_check",
    "query_id", "user", "password", "quota_key", "role", "compress", "decompress",
    "wait_end_of_query", "buffer_size", "client_protocol_version", "stacktrace",
    "enable_http_compression", "http_zlib_compression_level", "send_progress_in_http_headers",
    "http_headers_progress_interval_ms", "cancel_http_readonly_queries_on_client_close",
    "add_http_cors_header", "http_response_buffer_size", "http_wait_end_of_query",
    "http_response_headers", "framing",
}  # fmt: skip

EXTERNAL_SUFFIXES = ("_format", "_types", "_structure")


@dataclass
class Request:
    """One request; the body is not in it."""

    method: str
    path: str
    options: dict[str, str]
    headers: dict[str, str]
    params: dict[str, str] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, method: str, path: str, query: bytes, headers: dict[str, str]) -> "Request":
        """Read the URL's and the headers' part of a request."""
        request = cls(method, path, {}, headers)
        request.add(parse_qsl(query.decode("utf-8", "surrogateescape"), keep_blank_values=True))
        for option, header in (("database", "database"), ("default_format", "format")):
            value = headers.get(f"x-clickhouse-{header}")
            if value and option not in request.options:
                request.options[option] = value
        if method in ("GET", "HEAD"):
            request.settings.setdefault("readonly", "2")
        return request

    def add(self, fields: list[tuple[str, str]], *, external: bool = False) -> None:
        """Take in more fields; `external` when they may describe tables sent along."""
        for name, value in fields:
            if name.startswith("param_"):
                self.params[name[6:]] = value
            elif name in _NOT_SETTINGS or (external and name.endswith(EXTERNAL_SUFFIXES)):
                self.options[name] = value
            else:
                self.settings[name] = value

    def flag(self, name: str) -> bool:
        """Whether an option is on."""
        return self.options.get(name, "") in ("1", "true")

    @property
    def credentials(self) -> tuple[str, str]:
        """User name and password, from wherever they were sent."""
        user = self.headers.get("x-clickhouse-user") or self.options.get("user")
        if user is not None:
            password = self.headers.get("x-clickhouse-key") or self.options.get("password", "")
            return user, password
        scheme, _, value = self.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            name, _, password = b64decode(value).decode("utf-8", "replace").partition(":")
            return name, password
        return "default", self.options.get("password", "")

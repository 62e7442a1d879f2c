"""The search language: any text is a search, or refused with the place."""

from datetime import UTC, datetime

from tailrace.errors import QueryError
from tailrace.search.compile import Parameters, compile_search
from tailrace.search.parse import parse

NOW = datetime(2026, 1, 31, tzinfo=UTC)
SEEDS = (
    b'level:error "connection lost" -host:web* (a OR b) AND NOT c',
    b"trace_id:* order:>=7 size:[1 TO 20} time:[2026-01-01 TO now]",
    b'path:/^\\/api\\/v[0-9]+/ user:(ann OR "bo b") key\\:x:y',
    b"((((((((((a))))))))))",
)


def fuzz(data: bytes) -> None:
    """Parsed and made into SQL, or refused; never anything else."""
    text = data.decode("utf-8", "surrogateescape")
    for attempt in (text, data.decode("latin-1")):
        try:
            parse(attempt)
            compile_search(attempt, Parameters(), NOW)
        except QueryError:
            continue

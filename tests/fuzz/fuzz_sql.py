"""The engine's reading of statements: any bytes may come in the place of SQL."""

from urllib.parse import quote_from_bytes

from tailrace.engine.answer import progress_interval_secs
from tailrace.engine.exceptions import ClickHouseError
from tailrace.engine.request import Request
from tailrace.engine.sql import (
    Unfinished,
    first_word,
    into_file,
    is_insert,
    read_insert,
    read_statement,
    tokens,
    with_client_ids,
    without_format,
)

SEEDS = (
    b'INSERT INTO t (a, b) SETTINGS x = 1 FORMAT JSONEachRow\n{"a":1}',
    b"INSERT INTO t SELECT line FROM input('line String') FORMAT LineAsString\nx",
    b"INSERT INTO `t``x` VALUES (1, 'it''s', $tag$ ; $tag$)",
    b"/* c */ SELECT 1 -- x\n FORMAT JSON SETTINGS a='b'; ",
    b"WITH x AS (SELECT query_id FROM system.processes) SELECT queryID() INTO OUTFILE 'f'",
    "²".encode(),
    b"session_timeout=" + b"9" * 5000,
    b"KILL QUERY WHERE query_id = 'a' # x\n",
)


def fuzz(data: bytes) -> None:
    """Tokens lie one behind the other; where data begins is not changed by what follows."""
    end = 0
    for token in tokens(data):
        assert end <= token.start < token.end <= len(data)
        assert data[token.start : token.end] == token.text
        end = token.end
    first_word(data)
    statement = read_statement(data)
    into_file(data, statement, "file", "JSON")
    without_format(data, statement)
    with_client_ids(data, "id")
    if is_insert(data):
        _read_insert(data)
    _read_request(data)


def _read_insert(data: bytes) -> None:
    found = read_insert(data, complete=True)
    try:
        early = read_insert(data, complete=False)
    except Unfinished:
        return
    assert early == found
    assert found is None or found == read_insert(data + b" FORMAT x", complete=True)


def _read_request(data: bytes) -> None:
    names = (b"query", b"client_protocol_version", b"http_headers_progress_interval_ms")
    target = b"/?" + b"&".join(name + b"=" + quote_from_bytes(data).encode() for name in names)
    request = Request.parse("POST", target + b"&send_progress_in_http_headers=1&" + data, {})
    progress_interval_secs(request)
    assert request.query == data
    try:
        _ = request.protocol_version, request.session_timeout_secs
    except ClickHouseError:
        return

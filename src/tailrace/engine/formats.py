"""What we must know of ClickHouse's output formats to send them over HTTP."""

_NAMES = """TabSeparated TSV TabSeparatedRaw TSVRaw Raw CSV JSONEachRow JSONLines NDJSON
JSONCompactEachRow JSONStringsEachRow JSONCompactStringsEachRow RowBinary Native LineAsString
RawBLOB Null"""

SENT_BLOCK_BY_BLOCK = frozenset(_NAMES.split())
"""Formats with nothing before, between or after their blocks. The engine formats each block of a
stream as an answer of its own, so only these may be sent as they come."""

_CONTENT_TYPES = {
    "CSV": "text/csv; charset=UTF-8; header=absent",
    "CSVWithNames": "text/csv; charset=UTF-8; header=present",
    "CSVWithNamesAndTypes": "text/csv; charset=UTF-8; header=present",
    "JSON": "application/json; charset=UTF-8",
    "JSONCompact": "application/json; charset=UTF-8",
    "JSONStrings": "application/json; charset=UTF-8",
    "JSONCompactStrings": "application/json; charset=UTF-8",
    "JSONColumns": "application/json; charset=UTF-8",
    "JSONColumnsWithMetadata": "application/json; charset=UTF-8",
    "JSONObjectEachRow": "application/json; charset=UTF-8",
    "JSONEachRow": "application/x-ndjson; charset=UTF-8",
    "JSONLines": "application/x-ndjson; charset=UTF-8",
    "NDJSON": "application/x-ndjson; charset=UTF-8",
    "XML": "application/xml; charset=UTF-8",
    "Markdown": "text/markdown; charset=UTF-8",
}

_TEXT = ("Pretty", "Vertical", "Values", "Markdown", "SQLInsert", "LineAsString", "JSON")


def content_type(output_format: str) -> str:
    """The Content-Type that goes with a format."""
    if output_format in _CONTENT_TYPES:
        return _CONTENT_TYPES[output_format]
    if output_format.startswith(("TabSeparated", "TSV")):
        return "text/tab-separated-values; charset=UTF-8"
    if output_format.startswith(_TEXT):
        return "text/plain; charset=UTF-8"
    return "application/octet-stream"

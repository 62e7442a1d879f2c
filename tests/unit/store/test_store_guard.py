import pytest

from tailrace.errors import StoreError
from tailrace.store.guard import READONLY, check_reads_only


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1",
        "  -- why\n(SELECT 1)",
        "/* a */ with 1 AS x SELECT x",
        "FROM logs.application_logs SELECT count()",
        "SELECT message FROM logs.application_logs WHERE message LIKE '%file not found%'",
        "SELECT file FROM t WHERE file IN ('a', 'b')",
        "SELECT profile(1), evaluate(2), file_size(3)",
        "EXPLAIN SELECT 1",
        "SHOW TABLES",
        'SELECT \'{"file": "a\\nb"}\'',
    ],
)
def test_queries_that_read_tables_are_let_through(sql: str) -> None:
    check_reads_only(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT file('/etc/passwd')",
        "SELECT FILE  ('/etc/passwd')",
        "SELECT `file`('/etc/passwd')",
        "SELECT \"file\" ('/etc/passwd')",
        "SELECT “file”('/etc/passwd')",
        "SELECT file/* ' */('/etc/passwd')",
        "SELECT file-- comment\n('/etc/passwd')",
        "SELECT file\u00a0('/etc/passwd')",
        "SELECT '/*', file/**/('/etc/passwd')",
        "SELECT $$'$$, file('/etc/passwd'), $$'$$",
        "SELECT arrayMap(x -> file(x), ['/etc/passwd'])",
        "SELECT * APPLY(file) FROM (SELECT '/etc/passwd')",
        "SELECT * APPLY file FROM (SELECT '/etc/passwd')",
        "SELECT * APPLY /* x */ (`file`) FROM (SELECT '/etc/passwd')",
        r"SELECT `fil\x65`('/etc/passwd')",
        r"SELECT `fi\Nle`('/etc/passwd')",
        r'SELECT "\x66ile"' + "('/etc/passwd')",
        "SELECT * FROM eval('SELECT 1')",
        "EXPLAIN SELECT file('/etc/passwd')",
    ],
)
def test_queries_that_could_read_files_are_refused(sql: str) -> None:
    with pytest.raises(StoreError, match="cannot run a query that calls") as refused:
        check_reads_only(sql)
    assert refused.value.code == READONLY


@pytest.mark.parametrize("sql", ["KILL QUERY WHERE 1", "USE logs", "SYSTEM SHUTDOWN", "INSERT", ""])
def test_statements_that_do_not_read_are_refused(sql: str) -> None:
    with pytest.raises(StoreError, match="only queries that read"):
        check_reads_only(sql)

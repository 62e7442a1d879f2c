"""Reading of statements: where data begins, which format is asked for, what is quoted how."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.engine.sql import (
    Unfinished,
    into_file,
    is_insert,
    quote,
    quote_name,
    read_insert,
    read_statement,
    split_list,
    tokens,
    with_client_ids,
    without_format,
)


@pytest.mark.parametrize(
    ("sql", "head", "form", "data"),
    [
        (b"INSERT INTO t FORMAT CSV\n1\n", b"INSERT INTO t ", "CSV", b"1\n"),
        (b"insert into t format CSV 1", b"insert into t ", "CSV", b"1"),
        (b"INSERT INTO t FORMAT CSV\r\n\n1", b"INSERT INTO t ", "CSV", b"\n1"),
        (b"INSERT INTO t FORMAT Native\n\n\x00FORMAT X", b"INSERT INTO t ", "Native", b"\n\x00FORMAT X"),
        (b"INSERT INTO t (a) VALUES (1),('FORMAT CSV')", b"INSERT INTO t (a) ", "Values",
         b" (1),('FORMAT CSV')"),
        (b"INSERT INTO `FORMAT x` (`VALUES`) FORMAT TSV\nx", b"INSERT INTO `FORMAT x` (`VALUES`) ",
         "TSV", b"x"),
        (b"INSERT INTO FUNCTION file('FORMAT CSV') FORMAT TSV\nx",
         b"INSERT INTO FUNCTION file('FORMAT CSV') ", "TSV", b"x"),
        (b"-- FORMAT A\n/* FORMAT B */ INSERT INTO t FORMAT C\nx",
         b"-- FORMAT A\n/* FORMAT B */ INSERT INTO t ", "C", b"x"),
        (b"INSERT INTO t SETTINGS a = 1 FORMAT CSV\nx", b"INSERT INTO t SETTINGS a = 1 ", "CSV", b"x"),
    ],
)  # fmt: skip
def test_the_data_of_an_insert_begins_after_its_format(
    sql: bytes, head: bytes, form: str, data: bytes
) -> None:
    insert = read_insert(sql, complete=True)
    assert insert is not None
    assert (insert.head, insert.data_format, sql[insert.data_start :]) == (head, form, data)


def test_settings_may_follow_the_format() -> None:
    insert = read_insert(b"INSERT INTO t FORMAT CSV SETTINGS a = 1, b = 'x y'\n1", complete=True)
    assert insert is not None
    assert insert.settings == b"a = 1, b = 'x y'"
    assert insert.data_start == 51


def test_input_is_found_with_its_structure() -> None:
    sql = rb"INSERT INTO t SELECT a FROM input('a String, b Enum(\'x\')') WHERE 1 FORMAT CSV"
    insert = read_insert(sql, complete=True)
    assert insert is not None
    assert insert.input_call is not None
    start, end = insert.input_call
    assert insert.head[start:end] == rb"input('a String, b Enum(\'x\')')"
    assert insert.structure == rb"'a String, b Enum(\'x\')'"


@pytest.mark.parametrize(
    "sql",
    [
        b"INSERT INTO t SELECT format FROM u",
        b"INSERT INTO t SELECT 1 FORMAT CSV",
        b"INSERT INTO t SELECT * FROM values('a UInt8', 1)",
        b"INSERT INTO t; SELECT 1 FORMAT CSV",
        b"INSERT INTO t FROM INFILE 'x' FORMAT CSV",
        b"INSERT INTO t",
    ],
)
def test_an_insert_without_data_is_left_alone(sql: bytes) -> None:
    assert read_insert(sql, complete=True) is None


@pytest.mark.parametrize("cut", range(1, 29))
def test_an_insert_that_is_not_all_there_waits_for_more(cut: int) -> None:
    with pytest.raises(Unfinished):
        read_insert(b"INSERT INTO t (a) FORMAT CSV\n"[:cut], complete=False)


@given(st.binary(max_size=200), st.sampled_from([b"Native", b"RowBinary", b"CSV"]))
def test_data_is_never_looked_at(data: bytes, form: bytes) -> None:
    head = b"INSERT INTO t (a, b) FORMAT " + form + b"\n"
    insert = read_insert(head + data, complete=True)
    assert insert is not None
    assert insert.data_start == len(head)


@given(st.binary(max_size=200))
def test_tokens_cover_any_bytes_in_order(text: bytes) -> None:
    at = 0
    for token in tokens(text):
        assert token.start >= at
        assert text[token.start : token.end] == token.text
        at = token.end


@pytest.mark.parametrize(
    ("sql", "verb", "form"),
    [
        (b"SELECT 1", "SELECT", None),
        (b"select 1 format JSON", "SELECT", "JSON"),
        (b"SELECT 1 FORMAT JSON;", "SELECT", "JSON"),
        (b"SELECT 1 FORMAT JSON SETTINGS max_threads = 1", "SELECT", "JSON"),
        (b"(SELECT 1) FORMAT CSV -- FORMAT TSV", "SELECT", "CSV"),
        (b"/* x */ WITH 1 AS format SELECT format, 2", "WITH", None),
        (b"SELECT format FROM t", "SELECT", None),
        (b"SELECT 'FORMAT CSV'", "SELECT", None),
        (b"SELECT * FROM (SELECT 1) FORMAT Null", "SELECT", "Null"),
        (b"", "", None),
    ],
)
def test_verb_and_format(sql: bytes, verb: str, form: str | None) -> None:
    statement = read_statement(sql)
    assert (statement.verb, statement.output_format) == (verb, form)


@pytest.mark.parametrize(
    ("sql", "touches"),
    [
        (b"SELECT 1 INTO OUTFILE 'x'", True),
        (b"SELECT 1 into /* */ outfile 'x' FORMAT CSV", True),
        (b"INSERT INTO t FROM INFILE 'x'", True),
        (b"SELECT 'INTO OUTFILE'", False),
        (b"SELECT outfile FROM infile_log", False),
    ],
)
def test_files_of_the_server_are_noticed(sql: bytes, touches: bool) -> None:
    assert read_statement(sql).touches_files is touches


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        (b"SELECT 1 FORMAT JSON", b"SELECT 1  INTO OUTFILE 'f' FORMAT JSON "),
        (b"SELECT 1 FORMAT JSON SETTINGS a=1", b"SELECT 1  INTO OUTFILE 'f' FORMAT JSON  SETTINGS a=1"),
        (b"SELECT 1; -- done", b"SELECT 1 INTO OUTFILE 'f' FORMAT JSON "),
    ],
)  # fmt: skip
def test_an_answer_can_be_sent_to_a_file(sql: bytes, expected: bytes) -> None:
    assert into_file(sql, read_statement(sql), "f", "JSON") == expected


def test_a_format_can_be_taken_away() -> None:
    sql = b"SELECT 1 FORMAT JSON SETTINGS a = 1; -- x"
    assert without_format(sql, read_statement(sql)).split() == b"SELECT 1 SETTINGS a = 1".split()


def test_lists_are_split_at_their_own_commas() -> None:
    assert split_list(b"String, Decimal(10, 2),Enum('a,b')") == [
        b"String", b"Decimal(10, 2)", b"Enum('a,b')",
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["it's", "\\", "\\'", "a\nb", ""])
def test_a_quoted_text_is_one_token(text: str) -> None:
    assert [token.kind for token in tokens(quote(text))] == ["string"]
    assert [token.kind for token in tokens(quote_name(text + "`"))] == ["quoted"]


@pytest.mark.parametrize(
    ("sql", "marks"),
    [
        (b"SELECT * FROM system.processes", [b"REPLACE", b"AS processes"]),
        (b"SELECT p.query_id FROM system.processes AS p", [b"REPLACE"]),
        (b"SELECT 1 FROM SYSTEM . processes WHERE 1", [b"AS processes WHERE"]),
        (b"KILL QUERY WHERE query_id = 'x'", [b"if(Settings"]),
        (b"SELECT queryID()", [b"SELECT 'my id'"]),
    ],
)
def test_clients_ids_stand_in_for_the_engines(sql: bytes, marks: list[bytes]) -> None:
    rewritten = with_client_ids(sql, "my id")
    assert all(mark in rewritten for mark in marks)


@pytest.mark.parametrize(
    "sql",
    [b"SELECT 'system.processes'", b"SELECT query_id FROM t", b"SELECT processes FROM system"],
)
def test_other_statements_stay_as_they_are(sql: bytes) -> None:
    assert with_client_ids(sql, "x") == sql


def test_inserts_are_told_from_the_rest() -> None:
    assert is_insert(b" /* x */ insert into t")
    assert not is_insert(b"SELECT 'INSERT'")
    assert not is_insert(b"")

"""Searches of a table that is not that of logs: what its pack says of it is all that is known."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tailrace.errors import QueryError
from tailrace.packs.explore import Explore
from tailrace.search.compile import Parameters, compile_search
from tailrace.search.query import LogQuery, Order, condition, page_statement
from tailrace.search.rows import LogRow
from tailrace.search.summary import facet_statement, histogram_statement, without_facet
from tailrace.search.table import Table, Tables, usual_table
from tailrace.search.tail import Follower
from tailrace.testing import FakeStore

NOW = datetime(2026, 11, 22, 10, 42, tzinfo=UTC)
SAID: dict[str, Any] = {
    "time": "at",
    "fields": {"at": "second", "miller": "text", "sacks": "number", "note": "message"},
    "columns": ["at", "miller", "sacks"],
    "text": ["note", "miller"],
    "filters": ["miller"],
    "names": {"miller": "who"},
}
MILL = Table("mill.grain", Explore.model_validate(SAID), "mill")
BARE = Table(
    "mill.bare",
    Explore.model_validate({"time": "at", "fields": {"at": "moment"}, "columns": ["at"]}),
    "mill",
)


def compiled(text: str, table: Table = MILL) -> tuple[str, list[object]]:
    parameters = Parameters()
    sql = compile_search(text, parameters, NOW, table)
    return sql, list(parameters.values.values())


@pytest.mark.parametrize(
    ("text", "sql", "values"),
    [
        (
            "oats",
            "(hasAllTokens(lower(note), {p0:Array(String)}) OR "
            "hasAllTokens(lower(toString(miller)), {p1:Array(String)}))",
            [["oats"], ["oats"]],
        ),
        (
            "/o.t/",
            "(match(note, {p0:String}) OR match(toString(miller), {p1:String}))",
            ["o.t", "o.t"],
        ),
        ("who:Ada", "miller = {p0:String}", ["Ada"]),
        ("Miller:A*", "miller LIKE {p0:String}", ["A%"]),
        ("sacks:12", "sacks = {p0:Int128}", [12]),
        ("sacks:<-1.5", "toFloat64(sacks) < {p0:Float64}", [-1.5]),
        (f"sacks:>{2**64}", "sacks > {p0:Int128}", [str(2**64)]),
        ("sacks:1*", "toString(sacks) LIKE {p0:String}", ["1%"]),
        ("sacks:*", "1", []),
        ("-who:*", "NOT miller != ''", []),
        ("at:>1h", "at > fromUnixTimestamp64Nano({p0:Int64}, 'UTC')", [1795340520000000000]),
    ],
)
def test_a_search_becomes_this_sql(text: str, sql: str, values: list[object]) -> None:
    assert compiled(text) == (sql, values)


@pytest.mark.parametrize(
    ("text", "table", "said"),
    [
        ("wo:Ada", MILL, r"the field 'wo': mill\.grain has none of that name, but who"),
        ("level:error", MILL, "the field 'level'"),
        ("sacks:many", MILL, "cannot compare sacks with 'many': it is a number"),
        ("oats", BARE, r"cannot search mill\.bare for a word alone"),
    ],
)
def test_a_mistake_is_said_with_its_place(text: str, table: Table, said: str) -> None:
    with pytest.raises(QueryError, match=said) as caught:
        compiled(text, table)
    assert caught.value.text == text


def test_filters_are_those_of_the_table() -> None:
    query = LogQuery(chosen=(("who", ("Ada", "Bob")),), table=MILL)
    assert condition(query, Parameters(), NOW) == "miller IN ({p0:String}, {p1:String})"
    assert without_facet(query, "who").chosen == ()
    assert "SELECT miller, count()" in facet_statement(query, "who", NOW).sql
    with pytest.raises(QueryError, match=r"cannot filter mill\.grain by 'level': it has who"):
        LogQuery(chosen=(("level", ("ERROR",)),), table=MILL)


def test_counts_over_time_have_no_bands_without_a_level() -> None:
    sql = histogram_statement(LogQuery(table=MILL), NOW, datetime.resolution * 10**6, NOW).sql
    assert "countIf" not in sql
    assert "toInt64(toUnixTimestamp(at))" in sql
    logs = histogram_statement(LogQuery(), NOW, datetime.resolution * 10**6, NOW).sql
    assert logs.count("countIf(log_level = ") == 3


@pytest.mark.parametrize(
    ("order", "kinds"),
    [
        ("", ["Int64", "UInt64"]),
        ("-at", ["Int64", "UInt64"]),
        ("who", ["String", "Int64", "UInt64"]),
        ("-sacks", ["Float64", "Int64", "UInt64"]),
    ],
)
def test_orders_are_by_the_columns_of_the_list(order: str, kinds: list[str]) -> None:
    parsed = Order.parse(order, MILL)
    assert [kind for _, kind in parsed.key(MILL)] == kinds
    assert parsed.text(MILL) == (order or "-at")
    assert "ORDER BY" in page_statement(LogQuery(order=parsed, table=MILL), NOW).sql


def test_an_order_by_what_is_not_in_the_list_is_refused() -> None:
    with pytest.raises(QueryError, match="cannot sort by 'note': use at, who or sacks"):
        Order.parse("note", MILL)


def test_a_row_has_its_tables_fields() -> None:
    row = LogRow.of(MILL, (5_000_000_000, 9, "Ada", 2**70, "x" * 3, 3))
    assert row.to_json() == {
        "id": row.row_id.encode(),
        "at": "1970-01-01T00:00:05.000Z",
        "miller": "Ada",
        "sacks": str(2**70),
        "note": "xxx",
    }
    assert row.level == ""


def test_a_table_without_arrivals_cannot_be_followed() -> None:
    with pytest.raises(QueryError, match=r"cannot follow mill\.grain"):
        Follower(FakeStore(), MILL)


def test_tables_are_found_by_either_name_and_said_where_unknown() -> None:
    tables = Tables((usual_table(), MILL))
    assert tables.find("") is usual_table()
    assert tables.find("mill.grain") is tables.find("grain") is MILL
    with pytest.raises(QueryError, match=r"'flour': there are logs\.application_logs, mill\.grain"):
        tables.find("flour")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"time": "then"}, "then: not in fields"),
        ({"filters": ["baker"]}, "baker: not in fields"),
        ({"time": "sacks"}, "must be a moment or a second"),
        ({"columns": ["miller"]}, "at is missing"),
        ({"arrived": "at"}, "must be a moment"),
        ({"names": {"miller": "from"}}, "needs another name"),
        ({"fields": {"at": "moment", "x": "colour"}}, "fields.x"),
        ({"sort": "at"}, "Extra inputs"),
    ],
)
def test_what_a_pack_cannot_say_of_its_table(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Explore.model_validate(SAID | change)

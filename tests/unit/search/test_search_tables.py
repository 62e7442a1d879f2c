"""Searches of a table that is not that of logs: what its pack says of it is all that is known."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from tailrace.errors import QueryError, StoreError
from tailrace.packs.explore import Explore
from tailrace.search.compile import Parameters, compile_search
from tailrace.search.cursor import Cursor
from tailrace.search.logs import LogSearch
from tailrace.search.query import LogQuery, Order, bound_statement, condition, page_statement
from tailrace.search.rows import LogRow
from tailrace.search.summary import (
    FacetValue,
    Summaries,
    facet_statement,
    histogram_statement,
    without_facet,
)
from tailrace.search.table import Table, Tables, usual_table
from tailrace.search.tail import Follower
from tailrace.store import Limits
from tailrace.testing import FakeStore, ManualClock

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
        ("-sacks", ["Number", "Int64", "UInt64"]),
    ],
)
def test_orders_are_by_the_columns_of_the_list(order: str, kinds: list[str]) -> None:
    parsed = Order.parse(order, MILL)
    assert [kind for _, kind in parsed.key(MILL)] == kinds
    assert parsed.text(MILL) == (order or "-at")
    assert "ORDER BY" in page_statement(LogQuery(order=parsed, table=MILL), NOW).sql


@pytest.mark.parametrize(
    ("value", "fits"),
    [
        ("-12", True), (str(2**200), True), ("0.125", True), ("1e300", True), ("-inf", True),
        ("true", True), ("", False), ("1)", False), ("nan", False), ("1 OR 1", False), (7, False),
        ("9" * 81, False),
    ],
)  # fmt: skip
def test_a_cursors_number_is_a_text_that_is_one(value: str | int, fits: bool) -> None:
    cursor = Cursor("-sacks", "older", (value, 7, 8))
    order = Order("sacks")
    if not fits:
        with pytest.raises(QueryError, match="its key does not fit its order"):
            LogQuery(table=MILL, order=order, cursor=cursor)
        return
    statement = page_statement(LogQuery(table=MILL, order=order, cursor=cursor), NOW)
    assert "WHERE sacks <= {p0:String} AND (sacks < {p0:String} OR " in statement.sql
    assert "toString(sacks)\nFROM" in statement.sql
    assert statement.parameters["p0"] == value


def test_an_order_by_what_is_not_in_the_list_is_refused() -> None:
    with pytest.raises(QueryError, match="cannot sort by 'note': use at, who or sacks"):
        Order.parse("note", MILL)


@pytest.mark.parametrize(
    ("parameters", "where", "order"),
    [
        ({}, "", "at DESC"),
        ({"text": "who:Ada"}, "WHERE miller = {p0:String}\n", "at DESC"),
        (
            {"cursor": Cursor("-at", "older", (7, 8))},
            "WHERE at < fromUnixTimestamp64Nano({p0:Int64}, 'UTC')\n",
            "at DESC",
        ),
        (
            {"cursor": Cursor("-at", "newer", (7, 8), inclusive=True)},
            "WHERE at > fromUnixTimestamp64Nano({p0:Int64}, 'UTC')\n",
            "at ASC",
        ),
        (
            {
                "order": Order("who", descending=False),
                "cursor": Cursor("who", "older", ("A", 7, 8)),
            },
            "WHERE miller >= {p0:String} AND (miller > {p0:String} OR (miller = {p0:String} AND "
            "at > fromUnixTimestamp64Nano({p1:Int64}, 'UTC')))\n",
            "miller ASC, at ASC",
        ),
    ],
)
def test_where_a_page_ends_is_found_without_the_content(
    parameters: dict[str, Any], where: str, order: str
) -> None:
    sql = bound_statement(LogQuery(table=MILL, limit=20, **parameters), NOW).sql
    assert sql.endswith(f"FROM mill.grain\n{where}ORDER BY {order}\nLIMIT 1 OFFSET 20")
    assert "cityHash64" not in sql


async def test_a_page_reads_up_to_its_bound() -> None:
    stored = (5_000_000_000, 9, "Ada", 1, "x", 1)
    store = FakeStore([("OFFSET 1", [(5_000_000_000,)]), ("WHERE at >= ", [stored, stored])])
    page = await LogSearch(store).page(LogQuery(table=MILL, limit=1), NOW)
    assert page.statement.parameters == {"p0": 5_000_000_000}
    assert page.statistics.rows_read == 3
    assert page.older is not None
    # Where rows were deleted up to there meanwhile, the page is looked for without it.
    store.answers[1:] = [("WHERE at >= ", [stored]), ("mill.grain", [stored, stored])]
    page = await LogSearch(store).page(LogQuery(table=MILL, limit=1), NOW)
    assert page.statement.parameters == {}
    assert page.older is not None


async def test_counts_that_took_too_long_are_told_from_those_of_nothing() -> None:
    clock = ManualClock()
    slow = StoreError("cannot run the query: too slow", code=159)
    store = FakeStore([("GROUP BY sacks", slow), ("GROUP BY miller", [("Ada", 2)])])
    table = Table("mill.grain", Explore.model_validate(SAID | {"filters": ["sacks", "miller"]}), "")
    facets = await Summaries(store, Limits(), clock).facets(LogQuery(table=table), NOW)
    assert facets == {"sacks": None, "who": (FacetValue("Ada", 2),)}


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


@pytest.mark.parametrize(
    ("value", "text", "in_json"),
    [
        (2**53 - 1, "9007199254740991", 9007199254740991),
        (-(2**53), "-9007199254740992", "-9007199254740992"),
        (2**127, str(2**127), str(2**127)),
        (Decimal("0.532000"), "0.532", 0.532),
        (Decimal("1E+3"), "1000", 1000.0),
        (Decimal("12345678901234567.125"), "12345678901234567.125", "12345678901234567.125"),
        (1e16, "10000000000000000", 1e16),
        (0.1, "0.1", 0.1),
        (True, "true", True),
    ],
)
def test_numbers_are_exact_as_text_and_in_json(value: Any, text: str, in_json: object) -> None:
    row = LogRow.of(MILL, (0, 9, "Ada", value, "x", 1))
    assert row.text("sacks") == text
    assert row.to_json()["sacks"] == in_json
    assert isinstance(row.to_json()["sacks"], type(in_json))


def test_a_table_without_arrivals_cannot_be_followed() -> None:
    with pytest.raises(QueryError, match=r"cannot follow mill\.grain"):
        Follower(FakeStore(), MILL)


def test_tables_are_found_by_either_name_and_said_where_unknown() -> None:
    tables = Tables((usual_table(), MILL))
    assert tables.find("") is usual_table()
    assert tables.find("mill.grain") is tables.find("grain") is MILL
    with pytest.raises(QueryError, match=r"'flour': there are logs\.application_logs, mill\.grain"):
        tables.find("flour")
    with pytest.raises(
        QueryError, match=r"'mil\.grains': did you mean mill\.grain\? There are logs"
    ):
        tables.find("mil.grains")
    with pytest.raises(QueryError, match=r"'Grain': did you mean mill\.grain\?"):
        tables.find("Grain")


def test_a_short_name_of_two_tables_means_neither() -> None:
    other = Table("baker.grain", MILL.explore, "baker")
    tables = Tables((MILL, other))
    assert tables.find("baker.grain") is other
    with pytest.raises(QueryError, match=r"'grain' is: mill\.grain or baker\.grain"):
        tables.find("grain")
    with pytest.raises(QueryError, match=r"cannot search the table '': there are none"):
        Tables(()).find("")


@pytest.mark.parametrize("name", ["x\0y", "'; DROP TABLE logs.rejected; --", "🦉", "a" * 5000, "`"])
def test_a_hostile_name_is_quoted_and_no_more(name: str) -> None:
    with pytest.raises(QueryError) as caught:
        Tables((MILL,)).find(name)
    assert "\0" not in str(caught.value)
    assert len(str(caught.value)) < 300


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

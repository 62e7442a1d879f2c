"""Adding up, without an engine."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from tailrace.cli._accounts import Accounts, Finding
from tailrace.collect.books import ACCEPTED, REJECTED, REMOVED, Books
from tailrace.collect.config import Config
from tailrace.collect.ledger import AGAIN
from tailrace.collect.sinks.clickhouse.config import ClickhouseConfig
from tailrace.collect.sources.socket import SocketConfig
from tailrace.store.census import TableFacts

TODAY = date(2026, 1, 31)
BOTH = "logs.application_logs and logs.rejected"


class FakeCensus:
    """Tables with so many rows by day."""

    def __init__(
        self,
        logs: dict[str, int],
        rejected: dict[str, int] | None = None,
        moments: dict[int, int] | None = None,
    ) -> None:
        self._moments = moments or {}
        self._rows = {"logs.application_logs": logs, "logs.rejected": rejected or {}}
        self.tables = {
            name: TableFacts(name, "MergeTree", "received_at", (), "2026-01-01")
            for name in self._rows
        }

    def keepers(self, table: str) -> frozenset[str]:
        return frozenset(self._rows) if table == "logs.intake" else frozenset({table})

    def has_arrival(self, table: str) -> bool:
        return True

    def rows_by_day(self, table: str) -> dict[str, int]:
        return self._rows[table]

    def rows_by_moment(self, table: str, merged_before_ms: int, step_ms: int) -> dict[int, int]:
        return self._moments if table == "logs.application_logs" else {}

    def ttl_days(self, table: str) -> int:
        return 30

    def deletions(self, table: str) -> list[str]:
        return []


def books(days: dict[tuple[str, str], int], **written: Any) -> Books:
    return Books(
        **{
            "sums": {},
            "days": days,
            "moments": {},
            "apart_since_ms": 0,
            "waiting": {},
            "waiting_rejected": 0,
            "held": 0,
            "set_aside": (),
            **written,
        }
    )


def examined(
    census: FakeCensus, days: dict[tuple[str, str], int], *, table: str = "intake", **written: Any
) -> tuple[list[Finding], list[tuple[str, int]]]:
    """What is bad, and the gaps by day."""
    form = "json_as_string" if table == "intake" else "json_each_row"
    sink = {"inputs": ["in"], "endpoint": "http://x", "database": "logs", "table": table}
    config = Config(
        {"in": SocketConfig.model_validate({"mode": "tcp", "address": "127.0.0.1:0"})},
        {},
        {"out": ClickhouseConfig.model_validate({**sink, "format": form})},
        (),
    )
    accounts = Accounts(
        books(days, **written),
        config,
        census,  # type: ignore[arg-type]
        "logs.rejected",
        TODAY,
    )
    bad = [finding for finding in accounts.findings() if finding.state == "bad"]
    return bad, [(gap.day, gap.rows) for gap in accounts.gaps]


def test_every_row_is_in_one_table_or_the_other() -> None:
    census = FakeCensus({"2026-01-30": 90}, {"2026-01-30": 12})
    days = {("out", "2026-01-30"): 100, (REJECTED, "2026-01-30"): 2}
    assert examined(census, days) == ([], [])


@pytest.mark.parametrize("missing", [1, 90])
def test_missing_rows_are_a_gap_of_their_day(missing: int) -> None:
    census = FakeCensus({"2026-01-29": 500, "2026-01-30": 90 - missing})
    bad, gaps = examined(census, {("out", "2026-01-30"): 90, ("out", "2026-01-29"): 400})
    assert gaps == [("2026-01-30", missing)]
    assert f"{missing} rows that arrived on 2026-01-30" in bad[0].text


def test_what_a_person_removed_or_accepted_is_no_gap() -> None:
    census = FakeCensus({"2026-01-30": 80})
    days = {
        ("out", "2026-01-30"): 90,
        (REJECTED, "2026-01-30"): 5,
        (REMOVED, "2026-01-30"): 5,
        (ACCEPTED + BOTH, "2026-01-30"): 10,
    }
    assert examined(census, days) == ([], [])


def test_rejected_rows_on_their_way_are_no_gap() -> None:
    days = {(REJECTED, "2026-01-30"): 5}
    assert examined(FakeCensus({}), days, waiting_rejected=5) == ([], [])
    assert examined(FakeCensus({}), days, waiting_rejected=4)[1] == [("2026-01-30", 1)]


def test_rows_past_the_retention_are_no_gap() -> None:
    assert examined(FakeCensus({}), {("out", "2026-01-01"): 9}) == ([], [])
    assert examined(FakeCensus({}), {("out", "2026-01-02"): 9})[1] == [("2026-01-02", 9)]


def test_rows_without_a_time_of_their_own_may_be_of_a_later_day() -> None:
    late = FakeCensus({"2026-01-30": 9})
    days = {("out", "2026-01-29"): 9}
    assert examined(late, days, table="application_logs") == ([], [])
    assert examined(late, days)[1] == [("2026-01-29", 9)]
    early = FakeCensus({"2026-01-28": 9})
    assert examined(early, days, table="application_logs")[1] == [("2026-01-29", 9)]


def test_a_sink_whose_sums_do_not_add_up_and_a_source_that_is_gone_are_named() -> None:
    sums = {("out", "received", ""): 10, ("out", "sent", ""): 7, ("out", "rejected", ""): 1}
    bad, _ = examined(FakeCensus({}), {}, sums=sums, waiting={"in": 5, "old": 3, "empty": 0})
    assert [finding.check for finding in bad] == ["source old", "sink out"]
    assert "2 are unaccounted for" in bad[1].text


def test_rows_that_a_person_removed_are_a_gap_of_none_of_the_tables_that_reject() -> None:
    """A pack's own sink for rejected rows, beside a table of lines that rejects into the same one."""
    sink = {"inputs": ["in"], "endpoint": "http://x", "database": "logs"}
    sinks = {
        "out": {**sink, "table": "intake", "format": "json_as_string"},
        "unread": {**sink, "table": "rejected", "format": "json_each_row"},
    }
    config = Config(
        {"in": SocketConfig.model_validate({"mode": "tcp", "address": "127.0.0.1:0"})},
        {},
        {name: ClickhouseConfig.model_validate(one) for name, one in sinks.items()},
        (),
    )
    day = "2026-01-30"
    days = {("out", day): 50, ("unread", day): 3, (REMOVED, day): 3}
    census = FakeCensus({day: 50})
    accounts = Accounts(books(days), config, census, "logs.rejected", TODAY)  # type: ignore[arg-type]
    assert [one for one in accounts.findings() if one.state == "bad"] == []
    accounts = Accounts(
        books({**days, (REMOVED, day): 1}),
        config,
        census,  # type: ignore[arg-type]
        "logs.rejected",
        TODAY,
    )
    assert [one.check for one in accounts.findings() if one.state == "bad"] == ["logs.rejected"]


DAY_MS = int(datetime(2026, 1, 30, tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("found", "missing"),
    [
        # All there; one is gone; one is gone, and somebody else has added as many, or many more.
        ({1: 10, 2: 5}, 0),
        ({1: 9, 2: 5}, 1),
        ({1: 9, 2: 5, 3: 1}, 1),
        ({1: 9, 2: 4, 3: 500}, 2),
        ({2: 15}, 10),
    ],
)
def test_rows_of_somebody_else_hide_no_gap(found: dict[int, int], missing: int) -> None:
    there = {DAY_MS + moment: rows for moment, rows in found.items()}
    census = FakeCensus({"2026-01-30": sum(found.values())}, moments=there)
    days = {("out", "2026-01-30"): 15}
    moments = {("out", DAY_MS + 1): 10, ("out", DAY_MS + 2): 5}
    _, gaps = examined(census, days, moments=moments)
    assert gaps == ([("2026-01-30", missing)] if missing else [])
    accepted = {**days, (ACCEPTED + BOTH, "2026-01-30"): missing}
    assert examined(census, accepted, moments=moments)[1] == []


@pytest.mark.parametrize(
    ("total", "at_moment", "missing"),
    [(110, 10, 0), (105, 10, 5), (107, 7, 3), (110, 7, 3), (102, 7, 8)],
)
def test_what_was_delivered_before_there_were_moments_is_counted_by_day(
    total: int, at_moment: int, missing: int
) -> None:
    """100 rows of which only the day is known, and 10 with their moment."""
    days = {("out", "2026-01-30"): 110}
    census = FakeCensus({"2026-01-30": total}, moments={DAY_MS: at_moment})
    _, gaps = examined(census, days, moments={("out", DAY_MS): 10})
    assert sum(rows for _, rows in gaps) == missing


def test_rejected_rows_that_a_person_removed_are_missing_at_no_moment() -> None:
    census = FakeCensus({"2026-01-30": 8}, moments={DAY_MS: 8})
    days = {("out", "2026-01-30"): 10, (REMOVED, "2026-01-30"): 2}
    moments = {("out", DAY_MS): 10, (REMOVED, DAY_MS): 2}
    assert examined(census, days, moments=moments) == ([], [])


@pytest.mark.parametrize(
    ("first", "again", "there", "missing"),
    [
        # Made by one collector, and again by another: the table has it once.
        (10, 10, 10, 0),
        # The first died before it could write it down.
        (0, 10, 10, 0),
        (0, 10, 9, 1),
        (10, 10, 7, 3),
    ],
)
def test_what_was_delivered_again_is_expected_once(
    first: int, again: int, there: int, missing: int
) -> None:
    place = "out" + AGAIN
    days = {("out", "2026-01-30"): 20 + first, (place, "2026-01-30"): again}
    moments = {("out", DAY_MS): 20, ("out", DAY_MS + 1): first, (place, DAY_MS + 1): again}
    found = {DAY_MS: 20, DAY_MS + 1: there}
    census = FakeCensus({"2026-01-30": 20 + there}, moments=found)
    _, gaps = examined(census, days, moments=moments)
    assert sum(rows for _, rows in gaps) == missing

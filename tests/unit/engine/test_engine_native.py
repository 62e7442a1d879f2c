"""The Native format for a client's revision, and the counts of a query."""

import json

from tailrace.engine.native import NativeFraming, block_rows
from tailrace.engine.summary import Summary

INFO = b"\x01\x00\x02\xff\xff\xff\xff\x00"
BLOCK = b"\x02\x81\x02\x01a\x05UInt8...\x01t\x08DateTime...."


def types() -> list[tuple[str, str]]:
    return [("a", "UInt8"), ("t", "DateTime('Asia/Tokyo')")]


def test_revision_0_gets_the_block_as_it_is() -> None:
    assert NativeFraming(0, types).frame(BLOCK) == BLOCK


def test_old_revisions_get_block_info() -> None:
    assert NativeFraming(1, types).frame(BLOCK) == INFO + BLOCK


def test_new_revisions_get_the_time_zone_too() -> None:
    framed = NativeFraming(54405, types).frame(BLOCK)
    assert framed == INFO + BLOCK.replace(b"\x08DateTime", b"\x16DateTime('Asia/Tokyo')")


def test_a_value_that_looks_like_a_header_is_left_alone() -> None:
    twice = BLOCK + b"\x01t\x08DateTime"
    assert NativeFraming(54405, types).frame(twice) == INFO + twice


def test_types_are_asked_for_once_and_only_when_needed() -> None:
    asked = []

    def count() -> list[tuple[str, str]]:
        asked.append(1)
        return types()

    framing = NativeFraming(54405, count)
    framing.frame(b"\x01\x01\x01a\x05UInt8.")
    assert asked == []
    framing.frame(BLOCK)
    framing.frame(BLOCK)
    assert asked == [1]


def test_a_block_says_how_many_rows_it_has() -> None:
    assert block_rows(BLOCK) == 257


def test_a_summary_never_counts_twice() -> None:
    class Result:
        def storage_rows_read(self) -> int:
            return 10

        def storage_bytes_read(self) -> int:
            return 80

        def rows_written(self) -> int:
            return 5

        def bytes_written(self) -> int:
            return 40

        def rows_read(self) -> int:
            return 0

        def size(self) -> int:
            return 0

    summary = Summary()
    summary.see_progress(
        {"read_rows": 10, "read_bytes": 80, "written_rows": 5, "written_bytes": 40,
         "total_rows_to_read": 12}
    )  # fmt: skip
    summary.see_result(Result())
    found = json.loads(summary.as_json())
    assert found.pop("elapsed_ns").isdigit()
    assert found == {
        "read_rows": "10", "read_bytes": "80", "written_rows": "5", "written_bytes": "40",
        "total_rows_to_read": "12", "result_rows": "5", "result_bytes": "40",
    }  # fmt: skip

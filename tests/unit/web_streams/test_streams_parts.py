"""What pages of streams are made of: names by the page, JSON laid out, options, drawings, colours."""

import json
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any, cast

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from hypothesis import given
from hypothesis import strategies as st

from tailrace.testing import ManualClock
from tailrace.web.pages.spark import HEIGHT, spark
from tailrace.web.pages.streams import shown_by_all
from tailrace.web.render import Renderer
from tailrace.web.static_files import StaticFiles
from tailrace.web.streams import Group, Lag, Member, Option, Partition, Topic
from tailrace.web.streams.asking import Answers, Asking, GroupsAsker
from tailrace.web.streams.history import MINUTES, History
from tailrace.web.streams.names import page_of
from tailrace.web.streams.pretty import MOST_DEPTH, pretty_json

NO_GROUPS = cast(GroupsAsker, None)
HOSTILE = '"><script>alert(1)</script>\u202e'

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(st.sets(st.text(min_size=1), max_size=20), st.integers(1, 5))
def test_pages_of_names_have_each_name_once_and_lead_back(names: set[str], limit: int) -> None:
    seen: list[str] = []
    starts: list[str | None] = [""]
    while (after := starts[-1]) is not None:
        page = page_of(names, "", after, limit)
        before = starts[-2] if len(starts) > 1 else None
        assert page.previous == before
        assert page.total == len(names)
        seen += page.rows
        starts.append(page.next)
    assert seen == sorted(names)


def test_names_are_filtered_whatever_their_letters_size() -> None:
    found = page_of(["Orders.eu", "orders.us", "payments"], " ORDERS ", "", 1)
    assert (found.rows, found.total, found.next) == (("Orders.eu",), 2, "Orders.eu")
    assert page_of(["a"], "", "", 0).next is None


@given(values)
def test_json_is_laid_out_without_changing_it(value: Any) -> None:
    text = json.dumps(value, ensure_ascii=False)
    pretty = pretty_json(text)
    if isinstance(value, dict | list):
        assert pretty == json.dumps(value, indent=2, ensure_ascii=False)
    else:
        assert pretty is None


@pytest.mark.parametrize(
    ("text", "pretty"),
    [
        ('{"n":12345678901234567890.10}', '{\n  "n": 12345678901234567890.10\n}'),
        ('{"a":1,"a":2}', '{\n  "a": 1,\n  "a": 2\n}'),
        ('["\\\\", "[,]\\""]', '[\n  "\\\\",\n  "[,]\\""\n]'),
        ("[[ ], { }]", "[\n  [],\n  {}\n]"),
        ("[" * MOST_DEPTH + "]" * MOST_DEPTH, None),
        ("[" * 10_000 + "]" * 10_000, None),
        ("[" + "1" * 10_000 + "]", "[\n  " + "1" * 10_000 + "\n]"),
        ("[1,", None),
        ("words", None),
        ("", None),
    ],
)
def test_json_at_its_edges(text: str, pretty: str | None) -> None:
    if text == "[" * MOST_DEPTH + "]" * MOST_DEPTH:
        assert pretty_json(text) is not None
        text = f"[{text}]"
    assert pretty_json(text) == pretty


@pytest.mark.parametrize(
    ("name", "value", "meaning"),
    [
        ("retention.ms", "604800000", "7 d"),
        ("segment.ms", "5400000", "90 min"),
        ("flush.ms", str(2**63 - 1), "no limit"),
        ("retention.bytes", "-1", "no limit"),
        ("local.retention.bytes", "-2", ""),
        ("segment.bytes", "1073741824", "1 GiB"),
        ("min.insync.replicas", "2", ""),
        ("cleanup.policy", "delete", ""),
        ("retention.ms", None, ""),
    ],
)
def test_options_are_said_as_people_read_them(name: str, value: str | None, meaning: str) -> None:
    assert Option(name, value, "default", is_default=True).meaning == meaning


def test_a_drawing_has_a_bar_for_each_minute() -> None:
    assert spark([]) is None
    drawn = spark([0, 1, 100])
    assert drawn is not None
    assert drawn.path == f"M0 {HEIGHT}v-0.5h3v0.5zM4 {HEIGHT}v-1h3v1zM8 {HEIGHT}v-20h3v20z"
    assert drawn.title == "last 3 minutes, at most 100/s"


class FakeAdmin:
    """Brokers with one partition, to which a message comes each second from 0 on."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def list_offsets(self, places: dict[TopicPartition, Any], **_: Any) -> Answers:
        answers = {}
        for place, spec in places.items():
            self.asked.append(spec.timestamp)
            answers[place] = Future[Any]()
            answers[place].set_result(SimpleNamespace(offset=spec.timestamp // 1000))
        return answers


def test_minutes_that_have_passed_are_asked_for_once() -> None:
    admin, clock = FakeAdmin(), ManualClock()
    history = History()

    def rates() -> Any:
        asking = Asking(cast(AdminClient, admin), clock, clock.monotonic() + 5, NO_GROUPS)
        return history.rates(asking, [("t", 0)], {("t", 0): 2**40})

    assert rates() == {("t", 0): (1.0,) * MINUTES}
    assert len(admin.asked) == MINUTES + 1
    rates()
    assert len(admin.asked) == MINUTES + 1
    clock.advance(60)
    assert rates() == {("t", 0): (1.0,) * MINUTES}
    assert len(admin.asked) == MINUTES + 2


def test_a_history_of_too_many_partitions_is_not_asked_for() -> None:
    admin, clock = FakeAdmin(), ManualClock()
    asking = Asking(cast(AdminClient, admin), clock, 5, NO_GROUPS)
    assert History().rates(asking, [("t", number) for number in range(1000)], {}) == {}
    assert admin.asked == []


def macro(call: str, **values: Any) -> str:
    """What a macro of the pages writes."""
    environment = Renderer(StaticFiles())._environment
    names = "bar, count, drawn, group_table, sync, tile"
    source = f'{{% from "stream_parts.html" import {names} %}}{{{{ {call} }}}}'
    return environment.from_string(source).render(**shown_by_all(), **values)


def test_what_is_out_of_step_is_said_in_words() -> None:
    whole = Partition(0, 1, (1, 2), (1, 2), 0, 5, 0.0)
    behind = Partition(1, 1, (1, 2), (1,), 0, 5, 0.0)
    lost = Partition(2, -1, (1, 2), (), None, None, None)
    topic = Topic("t", (whole, behind, lost))
    assert (topic.out_of_sync, topic.without_leader, topic.messages) == (2, 1, 10)
    assert behind.behind == (2,)
    said = macro("sync(topic.without_leader, topic.out_of_sync)", topic=topic)
    assert "1 without a leader" in said
    assert "2 under-replicated" in said
    assert "in sync" in macro("sync(0, 0)")


def test_names_of_groups_and_clients_are_text() -> None:
    member = Member(HOSTILE, HOSTILE, HOSTILE, (("t", 0),))
    parts = (Lag("t", 0, 1, 5, HOSTILE, HOSTILE), Lag("t", 1, 1, 5, "", ""))
    group = Group(HOSTILE, "stable", "classic", "range", 1, (member,), parts)
    html = macro('group_table([group], tones, colours_of, group_url, "Groups")', group=group)
    assert "<script>" not in html
    assert "\u202e" not in html
    assert "1 unread by anybody" in html
    assert html.count('class="tone-series-a"') == 1
    assert html.count('class="nobody"') == 1

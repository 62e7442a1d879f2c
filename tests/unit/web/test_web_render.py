"""Rows as text and nothing else, in templates, scripts and colours."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.search.parse import parse
from tailrace.search.summary import Bucket, Histogram, step_for
from tailrace.search.syntax import Match
from tailrace.web.pages.chart import HEIGHT, draw
from tailrace.web.parameters import SearchState, keep
from tailrace.web.render import Renderer, Segment, highlights, segments, short_count
from tailrace.web.static_files import StaticFiles

SOURCE = Path(__file__).parents[3] / "src" / "tailrace"
WEB = SOURCE / "web"
OURS = [
    path
    for folder in (WEB, SOURCE / "packs")
    for path in folder.rglob("*")
    if path.suffix in (".html", ".js", ".css") and "vendor" not in path.parts
]


@given(st.text())
def test_segments_lose_no_visible_character(text: str) -> None:
    joined = "".join(piece.text for piece in segments(text, ["a"]) if piece.kind != "control")
    assert joined == re.sub(
        "[\x00-\x08\x0a-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]",
        "",
        text,
    )


def test_segments() -> None:
    assert segments("card Declined order=42 x\x1b[0m", ["declined"]) == [
        Segment("card ", "plain"),
        Segment("Declined", "match"),
        Segment(" order=", "plain"),
        Segment("42", "value"),
        Segment(" x", "plain"),
        Segment("␛", "control"),
        Segment("[0m", "plain"),
    ]


def test_marks_are_texts_and_not_patterns() -> None:
    assert [s.kind for s in segments("a.c abc", ["a.c"])] == ["match", "plain"]


def test_what_a_search_marks() -> None:
    assert highlights('declined "a b" *sub* -not level:error message:yes /re/') == [
        "declined",
        "a b",
        "sub",
        "yes",
    ]


def test_hostile_text_stays_text() -> None:
    html = Renderer(StaticFiles()).render(
        "down.html", detail="<script>alert(1)</script>{{7*7}}", retry_after_secs=2
    )
    assert "&lt;script&gt;" in html
    assert "{{7*7}}" in html


@given(st.text(min_size=1), st.text())
def test_keep_writes_a_term_that_reads_back(name: str, value: str) -> None:
    term = parse(keep(name, value))
    assert isinstance(term, Match)
    assert (term.field, term.value.literal) == (name, value)


def test_urls_hold_the_whole_state_and_leave_out_what_is_empty() -> None:
    assert SearchState().url() == "/"
    state = SearchState(
        q="a b", chosen=(("level", ("ERROR",)),), start="15m", order="level", limit=50
    )
    assert state.url() == "/?q=a+b&level=ERROR&from=15m&order=level&limit=50"
    assert state.toggled("level", "ERROR").chosen == ()
    assert state.toggled("source", "auth").values("source") == ("auth",)


def test_short_counts() -> None:
    assert [short_count(n) for n in (0, 1204, 1_204_000, 2_500_000_000)] == [
        "0",
        "1,204",
        "1.2 M",
        "2.5 G",
    ]


@given(st.timedeltas(timedelta(seconds=1), timedelta(days=20_000)))
def test_a_histogram_has_at_most_96_steps(span: timedelta) -> None:
    assert step_for(span) * 96 >= span or step_for(span) == timedelta(days=365)


def test_a_chart_shows_a_few_errors_among_a_million_rows() -> None:
    start = datetime(2026, 11, 22, 10, tzinfo=UTC)
    buckets = (Bucket(start, 1_000_000, (0, 3, 0)), Bucket(start, 0, (0, 0, 0)))
    chart = draw(Histogram(start, timedelta(minutes=1), buckets), SearchState())
    assert [block.level for block in chart.bars[0].blocks] == ["info", "error"]
    assert all(block.height >= 1.5 and 0 <= block.y <= HEIGHT for block in chart.bars[0].blocks)
    assert chart.bars[1].blocks == ()
    assert "1,000,000 rows" in chart.description


@pytest.mark.parametrize("steps", [1, 2, 3, 7, 96])
def test_each_label_of_the_time_axis_is_there_once(steps: int) -> None:
    start = datetime(2026, 11, 22, 10, tzinfo=UTC)
    buckets = tuple(
        Bucket(start + timedelta(seconds=number), 1, (0, 0, 0)) for number in range(steps)
    )
    labels = draw(Histogram(start, timedelta(seconds=1), buckets), SearchState()).labels
    assert len(set(labels)) == len(labels) == min(steps + 1, 6)
    assert labels[0] == "10:00:00"


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.name)
def test_no_template_or_script_can_turn_text_into_markup(path: Path) -> None:
    text = path.read_text("utf-8")
    forbidden = (
        r"\|\s*safe", r"innerHTML", r"outerHTML", r"insertAdjacentHTML", r"document\.write",
        r"\beval\(", r"new Function", r"\son[a-z]+\s*=\s*[\"']", r"\sstyle\s*=\s*[\"']", r"javascript:",
        r"<script(?![^>]*\ssrc=)", r"<style", r"autoescape\s+false", r"https?://(?!www\.w3\.org/)",
    )  # fmt: skip
    for pattern in forbidden:
        assert not re.search(pattern, text), pattern


def _tokens(theme: str) -> dict[str, str]:
    """Colours by name; each is written as `light-dark(#…, #…)`."""
    css = (WEB / "static" / "base.css").read_text("utf-8")
    colour = r"(#[0-9a-f]{6})"
    pairs = re.findall(rf"--([a-z-]+):\s*light-dark\({colour}, {colour}\);", css)
    return {name: light if theme == "light" else dark for name, light, dark in pairs}


def _luminance(colour: str) -> float:
    def linear(channel: int) -> float:
        share = channel / 255
        return share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4

    red, green, blue = (linear(int(colour[at : at + 2], 16)) for at in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one: str, other: str) -> float:
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_has_enough_contrast(theme: str) -> None:
    tokens = _tokens(theme)
    texts = ["ink", "muted", "accent", *(name for name in tokens if name.endswith("-text"))]
    for text in texts:
        for ground in ("background", "panel", "row-over"):
            assert _contrast(tokens[text], tokens[ground]) >= 4.5, (text, ground)
    assert _contrast(tokens["ink"], tokens["match"]) >= 4.5
    assert _contrast(tokens["on-accent"], tokens["accent"]) >= 4.5
    assert _contrast(tokens["accent"], tokens["accent-soft"]) >= 4.5

"""`dashboard.yaml`: what it may say, and what is said about what it may not."""

import re
from pathlib import Path

import pytest

from tailrace.errors import ConfigurationError
from tailrace.packs.dashboard import Panel, placeholders, read_dashboard

PANEL = "{title: A, kind: value, sql: SELECT 1}"


def write(folder: Path, text: str) -> Path:
    path = folder / "dashboard.yaml"
    path.write_text(text)
    return path


def test_a_dashboard_with_what_it_leaves_out(tmp_path: Path) -> None:
    dashboard = read_dashboard(write(tmp_path, f"title: Mine\npanels: [{PANEL}]\n"))
    [panel] = dashboard.panels
    assert dashboard.range == "1h"
    assert (panel.width, panel.fill, panel.draw, panel.unit) == ("half", "gap", "lines", "")


def test_panels_are_called_by_their_titles(tmp_path: Path) -> None:
    text = "title: T\npanels: [{title: 'Größe / s (p95)', kind: table, sql: SELECT 1}]\n"
    dashboard = read_dashboard(write(tmp_path, text))
    assert dashboard.panels[0].name == "größe-s-p95"
    assert dashboard.panel("größe-s-p95") is dashboard.panels[0]
    assert dashboard.panel("size") is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("title: [", "cannot read"),
        ("", "it is empty"),
        ("title: T\npanels: []\n", ":2: panels: is empty"),
        (f"title: T\nrefresh: 5\npanels: [{PANEL}]\n", ":2: refresh: there is no such key"),
        ("title: T\npanels: [{title: Sums, kind: pie, sql: x}]\n", "'Sums'.kind: must be"),
        ("title: T\npanels: [{title: Sums, kind: bar}]\n", "'Sums'.sql: is missing"),
        ("title: T\npanels: [{title: ---, kind: bar, sql: x}]\n", "a letter or a digit"),
        (f"title: T\npanels: [{PANEL}, {PANEL}]\n", "two panels have the title 'A'"),
        ("title: T\npanels: [{title: A, kind: bar, sql: x, units: {a: s}}]\n", "for a table"),
        ("title: T\npanels: [{title: A, kind: bar, sql: x, fill: zero}]\n", "for a time_series"),
        ("title: T\npanels: [{title: A, kind: bar, sql: x, link: //evil}]\n", "a path of these"),
        ("title: T\npanels: [{title: A, kind: bar, sql: x, link: /\\evil}]\n", "a path of these"),
        ("title: T\npanels: [7]\n", "panels.0: must be"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, text: str, problem: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigurationError) as caught:
        read_dashboard(path)
    assert problem in str(caught.value)
    assert str(path) in str(caught.value)


def test_every_problem_of_a_file_is_named_at_once(tmp_path: Path) -> None:
    text = "heading: T\npanels: [{title: A, kind: pie, sql: x}]\n"
    with pytest.raises(ConfigurationError) as caught:
        read_dashboard(write(tmp_path, text))
    assert {"heading", "title", "panels.0 'A'.kind"} <= {
        problem.split(": ")[1] for problem in caught.value.problems
    }


def test_placeholders_of_a_link() -> None:
    assert placeholders('/?q="{message}"&from={from}') == ["message", "from"]


def test_the_documents_example_is_one(tmp_path: Path) -> None:
    document = (Path(__file__).parents[3] / "docs" / "dashboards.md").read_text("utf-8")
    [example] = re.findall(r"```yaml\n(.*?)```", document, re.DOTALL)
    [panel] = read_dashboard(write(tmp_path, example)).panels
    assert panel.kind == "time_series"
    for name in Panel.model_fields:
        assert f"| `{name}` |" in document

"""What a person may write wrong in a pack: each is told with its file and place, and is nobody else's."""

import os
import sys
from pathlib import Path

import pytest

from tailrace.errors import ConfigurationError
from tailrace.packs import find_packs, find_required, find_usable
from tailrace.packs.dashboard import read_dashboard
from tailrace.settings import Settings

HEAD = "name: mine\ndescription: x\n"
PIPELINE = """
sources:
  one: {type: file, include: [a]}
sinks:
  two: {type: console, inputs: [one]}
"""
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


def write(folder: Path, files: dict[str, str | bytes]) -> Settings:
    for name, content in files.items():
        path = folder / "mine" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return Settings.read(packs_dir=folder)


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("", ["pack.yaml: it is empty", "table of keys"]),
        ("# nothing\n", ["it is empty"]),
        ("- name\n- description\n", ["must be a table of keys"]),
        (b"name: mine\ndescription: caf\xe9\n", ["pack.yaml:2: it is not UTF-8"]),
        (b"\xff\xfen\x00a\x00", ["not UTF-8"]),
        ("name: mine\n\tdescription: x\n", ["pack.yaml:2: not YAML"]),
        (HEAD + "description: y\n", ["pack.yaml:3: ", '"description" stands here a second time']),
        (HEAD + BOMB, ["values, those behind aliases"]),
        (HEAD + "requires: &r [*r]\n", ["within itself"]),
        (HEAD + "folder: /tmp\n", ["pack.yaml:3: folder: there is no such key", "docs/packs.md"]),
        (HEAD + "1: 2\n", ["1: there is no such key"]),
        (HEAD + "tabel: a.b\n", ["pack.yaml:3: tabel: there is no such key"]),
        ("name: mine\n", ["description: is missing", "docs/packs.md"]),
        (HEAD + "requires: logs\n", ["pack.yaml:3: requires: must be a list, as `[one, two]`"]),
        (HEAD + "requires: [7]\n", ["pack.yaml:3: requires.0: must be text"]),
        (HEAD + "explore: yes\n", ["pack.yaml:3: explore: must be a table of keys"]),
        (HEAD + "variables: [a]\n", ["pack.yaml:3: variables: must be a table of keys"]),
        (HEAD + "table: 'a\0b'\n", ["pack.yaml:3: not YAML: the character '\\x00'"]),
        (HEAD + "table: requests\n", ["pack.yaml:3: table: "]),
        (HEAD + "table: a.b; DROP TABLE c\n", ["pack.yaml:3: table: "]),
        (HEAD + "retention: {requests: t}\n", ["pack.yaml:3: retention.requests"]),
        (HEAD + "retention: {a.b: t) DROP}\n", ["pack.yaml:3: retention.a.b: "]),
        (HEAD + "routes: routes.py\n", ["pack.yaml:3: routes: "]),
        (HEAD + "routes: ../../etc:passwd\n", ["pack.yaml:3: routes: "]),
        (HEAD + "explore: {time: t}\n", ["explore.fields: is missing", "explore.columns: is"]),
        (HEAD + "settings: {nothing: a.b.c}\n", ["pack.yaml:3: settings: ", "'nothing'"]),
        (HEAD + "settings: {read: a.b.c}\n", ["pack.yaml:3: settings: ", "'read'"]),
        (HEAD + "only_with: {sources.one: nothing}\n", ["pack.yaml:3: only_with: ", "'nothing'"]),
        (HEAD + "demo: '{nothing}'\n", ["pack.yaml:3: demo: {nothing} is no setting"]),
        (HEAD + "entrance: 'file {'\n", ["pack.yaml:3: entrance: ", "a bracket alone"]),
        (HEAD + "demo: '{data_dir.__class__}'\n", ["demo: {data_dir.__class__} is no setting"]),
        (
            HEAD + "variables:\n  a: {environment: A, help: x, default: '{b}'}\n",
            ["pack.yaml:4: variables.a.default: {b} is no setting"],
        ),
        (
            HEAD + "variables: {a: {environment: A, help: x, type: integer, default: four}}\n",
            ["pack.yaml:3: variables.a.default: 'four' is no integer"],
        ),
        (
            HEAD + "variables: {a: {environment: A, help: x, default: 4}}\n",
            ["pack.yaml:3: variables.a.default: 4 is no text"],
        ),
        (HEAD + "variables: {a: {environment: a b, help: x}}\n", ["variables.a.environment: "]),
        ("name: other\ndescription: x\n", ["pack.yaml:1: name: 'other' is not its folder's"]),
        ("name: Mine!\ndescription: x\n", ["pack.yaml:1: name: "]),
    ],
)
def test_a_mistake_is_told_and_stops_no_other_pack(
    tmp_path: Path, text: str | bytes, problems: list[str]
) -> None:
    settings = write(tmp_path, {"pack.yaml": text})
    with pytest.raises(ConfigurationError) as refused:
        find_packs(settings, ["mine"])
    for problem in ("mine/pack.yaml", *problems):
        assert problem in str(refused.value)
    usable, wrong = find_usable(settings)
    assert "logs" in {pack.name for pack in usable}
    assert [str(one) for one in wrong] == [str(refused.value)]
    assert [pack.name for pack in find_packs(settings, ["logs"])] == ["logs"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_told(tmp_path: Path) -> None:
    settings = write(tmp_path, {"pack.yaml": HEAD})
    (tmp_path / "mine" / "pack.yaml").chmod(0)
    with pytest.raises(ConfigurationError, match=r"mine/pack\.yaml: Permission denied"):
        find_packs(settings, ["mine"])


def test_a_description_that_is_a_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "mine" / "pack.yaml").mkdir(parents=True)
    with pytest.raises(ConfigurationError, match=r"mine/pack\.yaml: Is a directory"):
        find_packs(Settings.read(packs_dir=tmp_path), ["mine"])


@pytest.mark.parametrize(
    ("says", "problem"),
    [
        ("settings: {log_level: sources.two.x}", "settings: there is no place 'sources.two.x' in"),
        ("settings: {log_level: sources.one.include.7}", "no place 'sources.one.include.7'"),
        ("settings: {log_level: sources.one.include.x}", "no place 'sources.one.include.x'"),
        ("settings: {log_level: sources.one.type.x}", "no place 'sources.one.type.x'"),
        ("settings: {log_level: sources.one}", "no place 'sources.one'"),
        ("settings: {log_level: x}", "no place 'x'"),
        ("settings: {clickhouse_user: sinks.gone.auth.user}", "no place 'sinks.gone.auth.user'"),
        ("only_with: {sources.two: clickhouse_url}", "only_with: there is no component"),
        ("only_with: {one: clickhouse_url}", "only_with: there is no component"),
    ],
)
def test_places_that_the_pipeline_has_not_are_told(tmp_path: Path, says: str, problem: str) -> None:
    settings = write(tmp_path, {"pack.yaml": f"{HEAD}{says}\n", "pipeline.yaml": PIPELINE})
    [mine] = find_packs(settings, ["mine"])
    with pytest.raises(ConfigurationError) as refused:
        mine.render_pipeline(settings)
    assert problem in str(refused.value)
    assert "mine/pack.yaml" in str(refused.value)
    assert "mine/pipeline.yaml" in str(refused.value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "pipeline.yaml: it is empty"),
        ("sources: [", "pipeline.yaml:1: not YAML"),
        (b"sources: {\xe9: 1}", "pipeline.yaml:1: it is not UTF-8"),
        ("sources: {a: 1}\nsources: {b: 1}", "pipeline.yaml:2: "),
        (BOMB, "values, those behind aliases"),
    ],
)
def test_a_pipeline_that_cannot_be_read_is_told(
    tmp_path: Path, text: str | bytes, problem: str
) -> None:
    settings = write(tmp_path, {"pack.yaml": HEAD, "pipeline.yaml": text})
    [mine] = find_packs(settings, ["mine"])
    with pytest.raises(ConfigurationError, match=problem):
        mine.render_pipeline(settings)


def test_a_pipeline_keeps_what_yaml_1_2_calls_text(tmp_path: Path) -> None:
    pipeline = "sources: {one: {type: file, include: [off, 12:30], read_from: no}}\n"
    settings = write(tmp_path, {"pack.yaml": HEAD, "pipeline.yaml": pipeline})
    [mine] = find_packs(settings, ["mine"])
    rendered = mine.render_pipeline(settings)
    assert str(tmp_path / "mine" / "pipeline.yaml") in rendered.splitlines()[0]
    assert "'off'" in rendered
    assert "12:30" in rendered
    assert "read_from: 'no'" in rendered


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("raise ValueError('surprise')\n", "ValueError: surprise .*code.py:1"),
        ("\n\nx = undefined\n", "NameError: .*code.py:3"),
        ("import sys\nsys.exit(3)\n", "cannot load 'code:go'.*SystemExit: 3 .*code.py:2"),
        ("def go(*a):\n    raise SystemExit\n", "cannot call 'code:go'.*code.py:2"),
        ("import nothing_of_that_name\n", "No module named 'nothing_of_that_name'"),
        ("def go(*a):\n    return a[9]\n", "cannot call 'code:go'.*IndexError.*code.py:2"),
        ("go = 7\n", "cannot call 'code:go'.*TypeError"),
        ("def go(:\n", "cannot load 'code:go' of the pack 'mine'.*code.py, line 1"),
        ("x = 1\n", "cannot load 'code:go'.*has no attribute 'go'"),
    ],
)
def test_code_of_a_pack_that_fails_is_told_with_its_line(
    tmp_path: Path, code: str, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "tailrace_pack_mine", raising=False)
    monkeypatch.delitem(sys.modules, "tailrace_pack_mine.code", raising=False)
    settings = write(tmp_path, {"pack.yaml": f"{HEAD}demo: code:go\n", "code.py": code})
    [mine] = find_packs(settings, ["mine"])
    with pytest.raises(ConfigurationError, match=problem):
        mine.demo_target(settings)


@pytest.mark.parametrize(
    ("requires", "problem"),
    [("[nothing]", "pack.yaml: requires: cannot find a pack 'nothing'"), ("[mine]", "itself")],
)
def test_what_cannot_be_required_is_told(tmp_path: Path, requires: str, problem: str) -> None:
    settings = write(tmp_path, {"pack.yaml": f"{HEAD}requires: {requires}\n"})
    with pytest.raises(ConfigurationError, match=problem):
        find_required(settings, ["mine"])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "it is empty"),
        (b"title: \xe9", "it is not UTF-8"),
        ("title: A\ntitle: B\npanels: []\n", ":2: "),
        (BOMB, "values, those behind aliases"),
        ("title: A\npanels: !!set {a, b}\n", "panels"),
        ("title: A\npanels:\n  - {title: Sums, kind: pie, sql: x}\n", ":3: panels.0 'Sums'.kind: "),
        ("title: A\npanels:\n  - {title: Sums, kind: bar, sql: x, colour: red}\n", "no such key"),
    ],
)
def test_a_dashboard_that_is_wrong_is_told(tmp_path: Path, text: str | bytes, problem: str) -> None:
    write(tmp_path, {"dashboard.yaml": text})
    path = tmp_path / "mine" / "dashboard.yaml"
    with pytest.raises(ConfigurationError) as refused:
        read_dashboard(path)
    assert problem in str(refused.value)
    assert str(path) in str(refused.value)
    with pytest.raises(ConfigurationError, match="No such file"):
        read_dashboard(tmp_path / "gone.yaml")

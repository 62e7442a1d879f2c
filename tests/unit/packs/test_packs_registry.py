from pathlib import Path

import pytest
import yaml

from tailrace.errors import ConfigurationError, UsageError
from tailrace.packs import find_packs, find_required
from tailrace.settings import Settings


def write_pack(directory: Path, name: str, text: str = "", **files: str) -> None:
    folder = directory / name
    folder.mkdir(parents=True)
    (folder / "pack.yaml").write_text(text or f"name: {name}\ndescription: mine\n")
    for file, content in files.items():
        (folder / file.replace("__", ".")).write_text(content)


def test_built_in_packs_are_found() -> None:
    names = [pack.name for pack in find_packs(Settings.read())]
    assert "logs" in names


def test_packs_of_a_persons_own_folder_come_beside_the_built_in_ones(tmp_path: Path) -> None:
    write_pack(tmp_path, "mine")
    settings = Settings.read(packs_dir=tmp_path)
    assert {"logs", "mine"} <= {pack.name for pack in find_packs(settings)}
    [mine] = find_packs(settings, ["mine"])
    assert mine.folder == tmp_path / "mine"
    assert mine.pipeline is None
    assert not mine.has_generator


def test_a_pack_of_ones_own_takes_the_place_of_a_built_in_one(tmp_path: Path) -> None:
    write_pack(tmp_path, "logs")
    [logs] = find_packs(Settings.read(packs_dir=tmp_path), ["logs"])
    assert logs.description == "mine"


def test_each_pack_is_given_once_in_the_order_asked_for(tmp_path: Path) -> None:
    write_pack(tmp_path, "mine")
    found = find_packs(Settings.read(packs_dir=tmp_path), ["mine", "logs", "mine"])
    assert [pack.name for pack in found] == ["mine", "logs"]


def test_an_unknown_pack_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(UsageError, match=r"'nothing'.*logs"):
        find_packs(Settings.read(), ["nothing"])


def test_a_folder_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigurationError, match="TAILRACE_PACKS_DIR"):
        find_packs(Settings.read(packs_dir=Path("/nonexistent")))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("name: mine\n", "description"),
        ("name: other\ndescription: x\n", "folder"),
        ("name: mine\ndescription: x\ntabel: a.b\n", "tabel"),
        ("name: mine\ndescription: x\nsettings: {nothing: a.b}\n", "no setting 'nothing'"),
        ("name: [\n", "cannot read"),
        ("just text", "must be a table"),
    ],
)
def test_a_wrong_description_is_refused_with_its_place(
    tmp_path: Path, text: str, problem: str
) -> None:
    write_pack(tmp_path, "mine", text)
    with pytest.raises(ConfigurationError, match=problem) as refused:
        find_packs(Settings.read(packs_dir=tmp_path))
    assert "mine/pack.yaml" in str(refused.value)


def test_settings_move_values_of_the_pipeline() -> None:
    [logs] = find_packs(Settings.read(), ["logs"])
    rendered = yaml.safe_load(
        logs.render_pipeline(
            Settings.read(
                intake_tcp="0.0.0.0:7000",
                clickhouse_url="http://ch:1",
                clickhouse_user="me",
                clickhouse_password="sesame",
            )
        )
    )
    original = yaml.safe_load((logs.folder / "pipeline.yaml").read_text())
    assert rendered["sources"]["logs_tcp"]["address"] == "0.0.0.0:7000"
    assert rendered["sources"]["logs_http"] == original["sources"]["logs_http"]
    sink = rendered["sinks"]["clickhouse"]
    assert sink["endpoint"] == "http://ch:1"
    assert sink["auth"] == {"strategy": "basic", "user": "me", "password": "sesame"}


def test_without_a_user_the_pipeline_has_no_auth() -> None:
    [logs] = find_packs(Settings.read(), ["logs"])
    assert (
        "auth" not in yaml.safe_load(logs.render_pipeline(Settings.read()))["sinks"]["clickhouse"]
    )


def test_a_pack_without_a_pipeline_says_so(tmp_path: Path) -> None:
    write_pack(tmp_path, "mine")
    [mine] = find_packs(Settings.read(packs_dir=tmp_path), ["mine"])
    with pytest.raises(ConfigurationError, match=r"no pipeline\.yaml"):
        mine.render_pipeline(Settings.read())


def test_a_packs_own_module_may_use_another_of_its_modules(tmp_path: Path) -> None:
    write_pack(
        tmp_path,
        "loads",
        words__py="WORD = 'hello'\n",
        speak__py="from .words import WORD as said\n",
    )
    [pack] = find_packs(Settings.read(packs_dir=tmp_path), ["loads"])
    assert pack.load("speak:said") == "hello"


VARIABLES = """
name: {name}
description: mine
variables:
  file: {{environment: MINE_FILE, default: "{{data_dir}}/x.log", help: the file, option: to}}
  old: {{environment: MINE_OLD, default: "{{file}}.*", help: old files}}
  size: {{environment: MINE_SIZE, type: integer, help: a batch's size, option: batch_size}}
settings:
  file: [sources.one.include.1, sinks.two.path]
demo: ">{{file}}"
entrance: file {{file}}
"""


def test_variables_have_names_in_the_environment_and_defaults_of_settings(tmp_path: Path) -> None:
    write_pack(tmp_path, "mine", VARIABLES.format(name="mine"))
    settings = Settings.read(packs_dir=tmp_path, data_dir="here")
    [mine] = find_packs(settings, ["mine"])
    assert mine.values(settings, {}) == {
        "file": "here/x.log",
        "old": "here/x.log.*",
        "size": None,
    }
    assert mine.own_options(settings, {}) == {}
    given = {"MINE_FILE": "other", "MINE_SIZE": "7"}
    assert mine.values(settings, given) == {"file": "other", "old": "other.*", "size": 7}
    assert mine.own_options(settings, given) == {"to": "other", "batch_size": 7}
    with pytest.raises(UsageError, match=r"MINE_SIZE='many'.*a batch's size"):
        mine.values(settings, {"MINE_SIZE": "many"})


def test_variables_move_the_pipeline_the_demonstration_and_the_entrance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = "sources: {one: {include: [a, b]}}\nsinks: {two: {}}\n"
    write_pack(tmp_path, "mine", VARIABLES.format(name="mine"), pipeline__yaml=pipeline)
    monkeypatch.setenv("MINE_FILE", "other")
    settings = Settings.read(packs_dir=tmp_path)
    [mine] = find_packs(settings, ["mine"])
    rendered = yaml.safe_load(mine.render_pipeline(settings))
    assert rendered == {
        "sources": {"one": {"include": ["a", "other"]}},
        "sinks": {"two": {"path": "other"}},
    }
    assert mine.demo_target(settings) == ">other"
    assert mine.entrance_of(settings) == "file other"


def test_a_packs_own_code_may_choose_the_target_or_say_why_there_is_none(tmp_path: Path) -> None:
    write_pack(
        tmp_path,
        "chooses",
        "name: chooses\ndescription: mine\ndemo: where:target\n",
        where__py="""
from tailrace.errors import UsageError

def target(settings, values):
    if settings.engine_port == 1:
        raise UsageError("cannot run: no broker")
    return f"kafka://{settings.web_host}"
""",
    )
    settings = Settings.read(packs_dir=tmp_path)
    [pack] = find_packs(settings, ["chooses"])
    assert pack.demo_target(settings) == "kafka://127.0.0.1"
    with pytest.raises(UsageError, match="no broker"):
        pack.demo_target(Settings.read(packs_dir=tmp_path, engine_port=1))


def test_packs_that_are_required_come_first_and_once(tmp_path: Path) -> None:
    text = "name: {}\ndescription: x\nrequires: [{}]\n"
    write_pack(tmp_path, "upper", text.format("upper", "lower, logs"))
    write_pack(tmp_path, "lower", text.format("lower", "logs"))
    settings = Settings.read(packs_dir=tmp_path)
    found = find_required(settings, ["upper", "lower"])
    assert [pack.name for pack in found] == ["logs", "lower", "upper"]


def test_packs_that_require_each_other_are_refused(tmp_path: Path) -> None:
    text = "name: {}\ndescription: x\nrequires: [{}]\n"
    write_pack(tmp_path, "chicken", text.format("chicken", "egg"))
    write_pack(tmp_path, "egg", text.format("egg", "chicken"))
    with pytest.raises(ConfigurationError, match="chicken and egg"):
        find_required(Settings.read(packs_dir=tmp_path), ["chicken"])


@pytest.mark.parametrize("entry", ["absent:router", "there:absent", "broken:router"])
def test_code_that_cannot_be_loaded_is_named_with_its_pack(tmp_path: Path, entry: str) -> None:
    write_pack(tmp_path, "lacks", there__py="x = 1\n", broken__py="def\n")
    [pack] = find_packs(Settings.read(packs_dir=tmp_path), ["lacks"])
    with pytest.raises(ConfigurationError, match=f"cannot load '{entry}' of the pack 'lacks'"):
        pack.load(entry)

"""What every pack keeps, from the registry: a new pack is held to it without a line here."""

import posixpath
import re
from itertools import chain, islice
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from fastapi import FastAPI

from tailrace.packs import Pack, find_packs
from tailrace.packs.generator import GeneratorFactory
from tailrace.settings import Settings
from tailrace.store.migrations import read_migrations
from tailrace.testing import FakeStore, ManualClock
from tailrace.web.app import create_app
from tailrace.web.pack_routes import routes_of
from tailrace.web.render import Renderer
from tailrace.web.static_files import StaticFiles, path_of

ROOT = Path(__file__).parents[2]

PACKS = find_packs(Settings.read())


@pytest.fixture(params=PACKS, ids=lambda pack: pack.name)
def pack(request: pytest.FixtureRequest) -> Pack:
    found: Pack = request.param
    return found


def statements(pack: Pack) -> list[str]:
    settings = Settings.read()
    return [
        statement
        for migration in read_migrations(pack)
        for statement in migration.statements(settings)
    ]


def test_its_description_is_one_line_for_people(pack: Pack) -> None:
    assert pack.description.strip() == pack.description != ""
    assert "\n" not in pack.description


def test_its_migrations_may_run_twice(pack: Pack) -> None:
    for statement in statements(pack):
        code = re.sub(r"--[^\n]*\n", "", statement).strip()
        assert re.match(
            r"CREATE (DATABASE|TABLE|MATERIALIZED VIEW|VIEW) IF NOT EXISTS|ALTER TABLE", code
        )


def test_its_table_and_its_retention_are_made_by_its_migrations(pack: Pack) -> None:
    made = "\n".join(statements(pack))
    for table in filter(None, [pack.table, *pack.retention]):
        assert f"CREATE TABLE IF NOT EXISTS {table}\n" in made
    for table, column in pack.retention.items():
        [definition] = [text for text in statements(pack) if f"EXISTS {table}\n" in text]
        assert f"TTL toDateTime({column}) + INTERVAL 30 DAY" in definition
        assert f"PARTITION BY toDate({column})" in definition
        assert "ttl_only_drop_parts = 1" in definition


def test_its_pipeline_is_a_vector_configuration_that_settings_can_move(pack: Pack) -> None:
    if pack.pipeline is None:
        pytest.skip("this pack has no pipeline")
    written = yaml.safe_load(pack.pipeline.read_text("utf-8"))
    assert written["sources"]
    assert written["sinks"]
    settings = Settings.read()
    rendered = yaml.safe_load(pack.render_pipeline(settings))
    for left_out, name in pack.only_with.items():
        if getattr(settings, name, None) is None:
            kind, _, source = left_out.partition(".")
            assert source not in rendered[kind]
            rendered[kind][source] = written[kind][source]
            for sink, said in rendered["sinks"].items():
                said["inputs"] = written["sinks"][sink]["inputs"]
    assert rendered == written, "the defaults of pipeline.yaml are not those of the settings"
    for place in chain.from_iterable(pack.settings.values()):
        component = place.split(".")[:2]
        assert component[1] in written[component[0]], f"{place} names no component"


def test_its_generator_makes_the_same_lines_again_in_the_order_of_time(pack: Pack) -> None:
    if pack.generator is None:
        pytest.skip("this pack has no generator")
    make: GeneratorFactory = pack.load(pack.generator)
    again = iter(make(1, 500.0).chunks())
    for chunk in islice(make(1, 500.0).chunks(), 3):
        assert list(chunk.offsets) == sorted(chunk.offsets)
        assert chunk.offsets[0] >= 0
        assert chunk.offsets[-1] < 1
        lines = chunk.render(1_790_000_000_000_000_000, chunk.secs)
        assert len(lines) == len(chunk.offsets)
        assert all(line.endswith("\n") and line.count("\n") == 1 for line in lines)
        assert lines == next(again).render(1_790_000_000_000_000_000, chunk.secs)


def test_its_demonstration_goes_where_its_pipeline_listens(pack: Pack) -> None:
    if pack.generator is None or pack.pipeline is None:
        pytest.skip("this pack has no generator, or no pipeline")
    target = pack.demo_target(Settings.read())
    address = target.partition("://")[2].rstrip("/") or target
    assert address in pack.pipeline.read_text("utf-8")


def test_the_readme_has_a_section_about_it(pack: Pack) -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    assert re.search(rf"(?im)^#+ .*\b{pack.name}\b", readme), (
        f"README has no heading with {pack.name}"
    )


def test_its_routes_are_described_with_examples(pack: Pack) -> None:
    if pack.routes is None:
        pytest.skip("this pack has no routes")
    settings = Settings.read()
    alone = FastAPI()
    renderer = Renderer(StaticFiles())
    alone.include_router(routes_of(pack, FakeStore(), ManualClock(), renderer))
    described = create_app(settings, FakeStore(), ManualClock()).openapi()
    schemas = described["components"]["schemas"]
    assert alone.openapi()["paths"]
    for path in alone.openapi()["paths"]:
        [operation] = described["paths"][path].values()
        assert operation["tags"] == [pack.name]
        assert operation["summary"]
        assert operation["description"]
        for parameter in operation.get("parameters", ()):
            needs_example = parameter["required"]
            assert not needs_example or parameter["schema"].get("examples"), parameter["name"]
        answers = operation["responses"]["200"]["content"].values()
        assert answers
        for answer in answers:
            assert _has_examples(answer, schemas), f"the answer of {path} has no example"


async def test_its_pages_load_nothing_but_files_that_are_there(pack: Pack) -> None:
    static = StaticFiles(PACKS)
    own = {
        path_of(pack, path.relative_to(pack.static).as_posix()): path
        for path in pack.static.rglob("*")
        if path.is_file()
    }
    transport = httpx.ASGITransport(create_app(Settings.read(), FakeStore(), ManualClock()))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        for name, path in own.items():
            answer = await client.get(static.url(name))
            assert answer.content == path.read_bytes()
            assert answer.headers["content-type"] != "application/octet-stream", name
            assert "script-src 'self'" in answer.headers["content-security-policy"]
    for name, path in own.items():
        for other in re.findall(r'from "(\.[^"]+)"', path.read_text("utf-8")):
            assert static.url(posixpath.normpath(posixpath.join(name, "..", other)))
    for path in pack.templates.rglob("*.html"):
        for where, name in re.findall(r"\b(own|static)\('([^'~]+)'\)", path.read_text("utf-8")):
            assert static.url(path_of(pack, name) if where == "own" else name)


def _has_examples(answer: dict[str, Any], schemas: dict[str, Any]) -> bool:
    if "example" in answer or "examples" in answer:
        return True
    name = answer.get("schema", {}).get("$ref", "").rpartition("/")[2]
    fields = schemas.get(name, {}).get("properties", {}).values()
    return any("examples" in field for field in fields)

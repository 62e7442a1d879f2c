"""What every pack keeps, from the registry: a new pack is held to it without a line here."""

import json
import re
from itertools import chain, islice

import pytest
import yaml

from tailrace.packs import Pack, find_packs
from tailrace.packs.generator import GeneratorFactory
from tailrace.settings import Settings
from tailrace.store.migrations import read_migrations

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
        [definition] = [text for text in statements(pack) if f" {table}\n" in text]
        assert f"TTL toDateTime({column}) + INTERVAL 30 DAY" in definition
        assert f"PARTITION BY toDate({column})" in definition
        assert "ttl_only_drop_parts = 1" in definition


def test_its_pipeline_is_a_vector_configuration_that_settings_can_move(pack: Pack) -> None:
    if pack.pipeline is None:
        pytest.skip("this pack has no pipeline")
    written = yaml.safe_load(pack.pipeline.read_text("utf-8"))
    assert written["sources"]
    assert written["sinks"]
    rendered = yaml.safe_load(pack.render_pipeline(Settings.read()))
    assert rendered == written, "the defaults of pipeline.yaml are not those of the settings"
    for place in chain.from_iterable(pack.settings.values()):
        component = place.split(".")[:2]
        assert component[1] in written[component[0]], f"{place} names no component"


def test_its_generator_makes_json_lines_in_the_order_of_time(pack: Pack) -> None:
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
        assert all(line.endswith("\n") and isinstance(json.loads(line), dict) for line in lines)
        assert lines == next(again).render(1_790_000_000_000_000_000, chunk.secs)


def test_its_demonstration_goes_where_its_pipeline_listens(pack: Pack) -> None:
    if pack.generator is None or pack.pipeline is None:
        pytest.skip("this pack has no generator, or no pipeline")
    target = pack.demo_target(Settings.read())
    assert target.partition("://")[2].rstrip("/") in pack.pipeline.read_text("utf-8")

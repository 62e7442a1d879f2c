"""What `up` looks at before it starts anything: the addresses of the packs that run."""

import re
from pathlib import Path

import pytest

from tailrace.cli._workers import Division
from tailrace.cli.up import listeners, run
from tailrace.errors import UsageError
from tailrace.packs import find_packs
from tailrace.settings import Settings


def test_a_packs_own_address_is_looked_at_with_the_name_that_moves_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = Settings.read()
    monkeypatch.setenv("COLLATZ_TCP", "127.0.0.1:7003")
    packs = find_packs(settings, ["logs", "collatz"])
    found = {listener.setting: listener for listener in listeners(settings, packs)}
    own = found["COLLATZ_TCP"]
    assert (own.host, own.port, own.moved) == ("127.0.0.1", 7003, "127.0.0.1:7013")
    assert "TAILRACE_INTAKE_TCP" in found
    assert "COLLATZ_TCP" not in {
        listener.setting for listener in listeners(settings, find_packs(settings, ["logs"]))
    }


def test_each_workers_own_port_is_looked_at_where_there_are_further_collectors() -> None:
    settings = Settings.read(workers=3, collector_port=7000)
    packs = find_packs(settings, ["logs"])
    of_collectors = [
        (listener.port, listener.moved)
        for listener in listeners(settings, packs, Division({"logs": {}}, (), ()))
        if listener.setting == "TAILRACE_COLLECTOR_PORT"
    ]
    assert of_collectors == [(7000, ""), (7010, "7005"), (7020, "7005")]
    alone = listeners(settings, packs, Division({}, ("logs",), ()))
    assert [one.port for one in alone if one.setting == "TAILRACE_COLLECTOR_PORT"] == [7000]


@pytest.mark.parametrize("address", ["nine thousand", "[::1", "a:99999"])
def test_an_address_that_is_none_is_refused_by_its_name(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("COLLATZ_TCP", address)
    settings = Settings.read()
    with pytest.raises(UsageError, match=re.escape(f"COLLATZ_TCP={address!r}")):
        listeners(settings, find_packs(settings, ["collatz"]))


def test_packs_without_a_pipeline_are_nothing_to_start_by_themselves(tmp_path: Path) -> None:
    (tmp_path / "charts").mkdir()
    (tmp_path / "charts" / "pack.yaml").write_text("name: charts\ndescription: x\n")
    settings = Settings.read(packs_dir=tmp_path, data_dir=tmp_path / "data")
    with pytest.raises(UsageError, match=r"no pipeline.yaml\. .* as well: logs charts$"):
        run(settings, ["charts"])

"""What the doctor says of several collectors, without an engine."""

from pathlib import Path

from tailrace.cli.doctor import _books_of_workers, _ports, _shares
from tailrace.clock import SystemClock
from tailrace.collect.books import Books
from tailrace.collect.ledger import FILE, Count, Ledger
from tailrace.settings import Settings


def books(received: int, waiting_rejected: int = 0) -> Books:
    return Books(
        sums={("topic", "received", ""): received, ("out", "received", ""): received},
        days={},
        moments={},
        apart_since_ms=0,
        waiting={"topic": 0},
        waiting_rejected=waiting_rejected,
        held=0,
        set_aside=(),
    )


def started(settings: Settings, *numbers: int) -> None:
    for number in numbers:
        folder = settings.data_dir / "workers" / str(number) / "pipelines"
        folder.mkdir(parents=True)
        (folder / "queue.yaml").touch()


def test_each_collectors_share_is_told_and_what_only_a_former_one_could_finish(
    tmp_path: Path,
) -> None:
    settings = Settings.read(data_dir=tmp_path)
    started(settings, 2)
    found = {
        "collector": books(10),
        "worker 2": books(20, waiting_rejected=1),
        "worker 3": books(30, waiting_rejected=2),
    }
    findings = list(_shares(settings, found))
    assert [(one.state, one.check) for one in findings] == [
        ("ok", "books of collector"),
        ("ok", "books of worker 2"),
        ("bad", "books of worker 3"),
    ]
    assert findings[1].text == "20 events delivered"
    assert "2 rejected rows wait" in findings[2].text
    assert "`tailrace up` once with --workers 3" in findings[2].text


async def test_a_worker_that_has_not_worked_yet_has_no_books(tmp_path: Path) -> None:
    settings = Settings.read(data_dir=tmp_path)
    started(settings, 2, 3)
    path = tmp_path / "workers" / "3" / "buffer" / FILE
    ledger = await Ledger.open(path, SystemClock())
    await ledger.add([Count("topic", "received", 7)])
    await ledger.close()
    found = _books_of_workers(settings)
    assert list(found) == ["worker 3"]
    assert found["worker 3"].sum("topic", "received") == 7


def test_every_collector_that_was_started_is_asked(tmp_path: Path) -> None:
    settings = Settings.read(data_dir=tmp_path, collector_port=9, web_port=9)
    started(settings, 2, 10)
    found = {one.check: one for one in _ports(settings, [], "bad")}
    assert list(found) == ["web", "collector", "worker 2", "worker 10"]
    assert "127.0.0.1:99/readyz does not answer" in found["worker 10"].text

"""A body of few bytes that are very many events is refused before it takes memory."""

import json

import pytest

from tailrace.web.intake import lines
from tests.unit.web_intake.intake_support import Doors, running

MOST = 3


@pytest.mark.parametrize("count", [MOST, MOST + 1])
async def test_a_body_has_so_many_events_at_most(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "MAX_EVENTS", MOST)
    async with running() as doors:
        for path, content_type, body in _bodies(count):
            headers = {"Content-Type": content_type}
            answer = await doors.client.post(path, content=body, headers=headers)
            if count > MOST:
                assert (path, answer.status_code) == (path, 413)
                assert "events at once" in answer.text
            else:
                assert (path, answer.status_code // 100) == (path, 2)
        _check_taken(doors, count)


def _bodies(count: int) -> list[tuple[str, str, bytes]]:
    """Paths, types of content, and bodies of so many events."""
    entry = b"\x12\x00"
    streams = b"\x0a" + bytes([4 + 2 * count]) + b"\x0a\x02{}" + entry * count
    half = [["1", "a"]] * (count // 2)
    other = [["1", "a"]] * (count - count // 2)
    pushed = {"streams": [{"stream": {}, "values": values} for values in (half, other)]}
    return [
        ("/elasticsearch/_bulk", "application/x-ndjson", b'{"index":{}}\n{"a":1}\n' * count),
        ("/write", "text/plain", b"m a=1\n" * count),
        ("/loki/api/v1/push", "application/json", json.dumps(pushed).encode()),
        (
            "/loki/api/v1/push",
            "application/x-protobuf",
            bytes([len(streams), (len(streams) - 1) << 2]) + streams,
        ),
    ]


def _check_taken(doors: Doors, count: int) -> None:
    assert len(doors.pipeline.events) == (4 * count if count <= MOST else 0)

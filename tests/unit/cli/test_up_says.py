"""What `up` prints of its parts: whose a line is can always be told."""

import json

import pytest

from tailrace.cli.up import _say_json


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            '{"event": "partitions have come", "partitions": ["t/0"]}',
            {"part": "worker 2", "event": "partitions have come", "partitions": ["t/0"]},
        ),
        ("tailrace: cannot …", {"part": "worker 2", "event": "tailrace: cannot …"}),
        ("{broken", {"part": "worker 2", "event": "{broken"}),
        ("27", {"part": "worker 2", "event": "27"}),
    ],
)
def test_each_line_of_json_names_its_part(
    capsys: pytest.CaptureFixture[str], text: str, said: dict[str, object]
) -> None:
    _say_json("worker 2", text)
    line = capsys.readouterr().err
    assert line.endswith("\n")
    assert json.loads(line) == said

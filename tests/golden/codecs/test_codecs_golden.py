"""What each codec makes of samples: `<codec>.yaml` beside this file holds lines, and for each the
events that it is, or why it is refused."""

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tailrace.collect.codec import DecodeError
from tailrace.collect.codecs import CODECS

CASES = [
    pytest.param(path.stem, case, id=f"{path.stem}-{number}")
    for path in sorted(Path(__file__).parent.glob("*.yaml"))
    for number, case in enumerate(yaml.safe_load(path.read_text()))
]


@pytest.fixture(autouse=True)
def _in_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(("codec", "case"), CASES)
def test_sample(codec: str, case: dict[str, Any]) -> None:
    line = case["line"].encode()
    if "refused" in case:
        with pytest.raises(DecodeError) as refused:
            CODECS[codec](line)
        assert refused.value.reason == case["refused"]
    else:
        assert orjson.loads(orjson.dumps(CODECS[codec](line))) == case["events"]


@pytest.mark.parametrize("codec", CODECS)
@given(st.one_of(st.binary(), st.binary().map(lambda rest: b"<13>1 " + rest)))
def test_no_bytes_do_anything_but_become_events_or_be_refused(codec: str, line: bytes) -> None:
    with suppress(DecodeError):
        orjson.dumps(CODECS[codec](line))


@given(
    st.lists(st.text(st.characters(min_codepoint=32, max_codepoint=126)).map(str.strip), max_size=6)
)
def test_syslog_takes_whatever_follows_a_priority(words: list[str]) -> None:
    (event,) = CODECS["syslog"](" ".join(["<13>1", *words]).encode())
    assert event["severity"] == "notice"


def test_a_time_without_a_year_is_never_far_in_the_future() -> None:
    for month in ("Jan", "Dec"):
        (event,) = CODECS["syslog"](f"<13>{month}  1 00:00:00 host app: text".encode())
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3 * 86_400))
        assert event["timestamp"] <= now

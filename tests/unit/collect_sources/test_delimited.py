"""A stream is cut at its delimiter, whatever the chunks that it arrives in."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tailrace.collect.delimited import DelimitedFramer
from tailrace.collect.framing import Lines
from tailrace.collect.sources.socket import SocketConfig


def cut(framer: DelimitedFramer, stream: bytes, size: int) -> list[Lines]:
    chunks = [stream[first : first + size] for first in range(0, len(stream), size)]
    return [*[framer.feed(bytearray(chunk), len(chunk)) for chunk in chunks], framer.finish()]


def frames(found: list[Lines]) -> list[bytes]:
    return sorted(
        frame for lines in found for frame in [*lines.payload.split(b"\n")[:-1], *lines.apart]
    )


@given(st.lists(st.binary(max_size=12)), st.integers(1, 9), st.booleans())
def test_every_frame_comes_out(sent: list[bytes], size: int, newlines_are_spaces: bool) -> None:
    sent = [frame.replace(b"\0", b"") for frame in sent]
    framer = DelimitedFramer(b"\0", 8, newlines_are_spaces=newlines_are_spaces)
    found = cut(framer, b"\0".join(sent), size)
    good = [frame for frame in sent if 0 < len(frame) <= 8]
    if newlines_are_spaces:
        good = [frame.replace(b"\n", b" ") for frame in good]
    assert frames(found) == sorted(good)
    assert sum(len(lines.too_long) for lines in found) == sum(len(frame) > 8 for frame in sent)
    assert all(lines.payload.count(b"\n") == lines.count for lines in found)


def config(**options: Any) -> SocketConfig:
    return SocketConfig.model_validate({"mode": "tcp", "address": "127.0.0.1:0", **options})


def test_gelf_over_tcp() -> None:
    framing = {"method": "character_delimited", "character_delimited": {"delimiter": "\0"}}
    framer = config(framing=framing, decoding={"codec": "gelf"}).framer()
    assert framer.feed(bytearray(b'{"a":\n1}\0{"b":2}\0'), 17) == Lines(
        b'{"b":2}\n', 1, (), (b'{"a":\n1}',)
    )


@pytest.mark.parametrize(
    "framing",
    [
        {"method": "character_delimited"},
        {"method": "character_delimited", "character_delimited": {"delimiter": "ab"}},
        {"method": "character_delimited", "character_delimited": {"delimiter": "ü"}},
        {"method": "bytes"},
        {"method": "varint_length_delimited"},
    ],
)
def test_framings_that_cannot_be_are_refused(framing: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        config(framing=framing)

"""Content encodings."""

import gzip
import zlib
from collections.abc import Callable
from contextlib import suppress

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from tailrace.content import ContentError, ContentTooLargeError, decode_content, unsnap

TEXT = b'{"message":"hello"}\n' * 100


def raw_deflate(body: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(body) + compressor.flush()


ENCODED = {
    "gzip": gzip.compress(TEXT),
    "gzip of two members": gzip.compress(TEXT[:500]) + gzip.compress(TEXT[500:]),
    "deflate": zlib.compress(TEXT),
    "deflate without header": raw_deflate(TEXT),
    "zstd": zstandard.compress(TEXT),
    # a literal of 20 bytes, then copies of up to 64 bytes from 20 bytes before
    "zstd of two frames": zstandard.compress(TEXT[:500]) + zstandard.compress(TEXT[500:]),
    "snappy": b"\xd0\x0f" + bytes([19 << 2]) + TEXT[:20] + b"\xfe\x14\x00" * 30 + b"\xee\x14\x00",
}


@pytest.mark.parametrize("name", ENCODED)
def test_a_body_comes_out_as_it_went_in(name: str) -> None:
    assert decode_content(ENCODED[name], name.split()[0], len(TEXT)) == TEXT


@pytest.mark.parametrize("name", ENCODED)
def test_a_body_that_grows_past_the_limit_is_refused(name: str) -> None:
    with pytest.raises(ContentError, match="bytes"):
        decode_content(ENCODED[name], name.split()[0], len(TEXT) - 1)


@pytest.mark.parametrize(
    ("name", "compress"), [("gzip", gzip.compress), ("zstd", zstandard.compress)]
)
def test_a_bomb_is_not_unpacked(name: str, compress: Callable[[bytes], bytes]) -> None:
    bomb = compress(bytes(50_000_000))
    with pytest.raises(ContentTooLargeError):
        decode_content(bomb, name, 1000)


@pytest.mark.parametrize("name", ENCODED)
@pytest.mark.parametrize("missing_bytes", [1, 5, 20])
def test_a_body_that_was_cut_is_refused_as_a_whole(name: str, missing_bytes: int) -> None:
    with pytest.raises(ContentError):
        decode_content(ENCODED[name][:-missing_bytes], name.split()[0], len(TEXT))


@pytest.mark.parametrize("name", ["gzip", "deflate", "zstd", "snappy", "br"])
def test_what_cannot_be_decoded_is_said(name: str) -> None:
    with pytest.raises(ContentError, match="cannot"):
        decode_content(b"\x01not compressed at all", name, 1000)


def test_several_encodings_are_undone_last_first() -> None:
    body = zstandard.compress(gzip.compress(TEXT))
    assert decode_content(body, "gzip, zstd", len(TEXT)) == TEXT


@given(st.binary(max_size=200))
def test_snappy_takes_any_bytes(block: bytes) -> None:
    with suppress(ContentError):
        assert len(unsnap(block, 10_000)) <= 10_000


@pytest.mark.parametrize(
    "block",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\xff" * 12, id="a size without end"),
        pytest.param(b"\x05", id="nothing after the size"),
        pytest.param(b"\x05\x10hell", id="a literal beyond the end"),
        pytest.param(b"\x05\x10hello\x00a", id="more than was announced"),
        pytest.param(b"\x09\x10hello", id="less than was announced"),
        pytest.param(b"\x09\x10hello\x01\x06", id="a copy from before the beginning"),
        pytest.param(b"\x09\x10hello\x01\x00", id="a copy of what is not there yet"),
    ],
)
def test_a_broken_block_of_snappy_is_refused(block: bytes) -> None:
    with pytest.raises(ContentError, match="cannot decompress the body"):
        unsnap(block, 1000)


def test_a_block_of_snappy_that_announces_too_much_makes_nothing() -> None:
    """Of so many no memory could be had: the limit comes first."""
    with pytest.raises(ContentTooLargeError, match="more than 4294967294 bytes"):
        unsnap(b"\xff\xff\xff\xff\x0f\x00a", 2**32 - 2)


@pytest.mark.parametrize(
    ("name", "member"),
    [
        pytest.param("gzip", gzip.compress(b"", mtime=0), id="gzip"),
        pytest.param("zstd", zstandard.compress(b"x"), id="zstd"),
    ],
)
def test_many_small_members_are_read_in_a_moment(name: str, member: bytes) -> None:
    """Each one was copied with all that came behind it: 32 MiB of them took hours.

    These would take longer than a test may.
    """
    body = member * (4 * 1024**2 // len(member))
    assert len(decode_content(body, name, 10_000_000)) in (0, len(body) // len(member))


def test_encodings_may_not_be_piled_up() -> None:
    with pytest.raises(ContentError, match="at most 3"):
        decode_content(b"", "gzip, identity, zstd, gzip, deflate", 1000)

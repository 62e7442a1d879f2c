"""Compression: what one end packs the other end unpacks, however it is cut."""

import gzip
import zlib
from collections.abc import Callable

import brotli
import lz4.frame
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from tailrace.engine.compression import BlockDecoder, BlockEncoder, Decoder, decoder, encoder
from tailrace.engine.exceptions import ClickHouseError

DATA = b"line of text\n" * 5000 + bytes(range(256)) * 20

PACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": lambda data: zstandard.ZstdCompressor().compress(data),
    "lz4": lz4.frame.compress,
}


class Collected:
    """A sink that remembers."""

    def __init__(self) -> None:
        self.data = b""
        self.largest = 0

    def write(self, data: bytes) -> None:
        self.data += data
        self.largest = max(self.largest, len(data))


def feed(stage: Decoder, data: bytes, piece: int) -> None:
    for at in range(0, len(data), piece):
        stage.write(data[at : at + piece])
    stage.finish()


@pytest.mark.parametrize("piece", [1, 7, 100_000])
@pytest.mark.parametrize("name", PACK)
def test_a_body_is_unpacked_in_any_pieces(name: str, piece: int) -> None:
    out = Collected()
    feed(decoder(name, out), PACK[name](DATA), piece)
    assert out.data == DATA


@pytest.mark.parametrize("name", ["gzip", "deflate", "zstd", "lz4"])
def test_frames_may_follow_one_another(name: str) -> None:
    out = Collected()
    feed(decoder(name, out), PACK[name](b"one ") + PACK[name](b"two"), 5)
    assert out.data == b"one two"


@pytest.mark.parametrize("name", PACK)
def test_a_cut_or_spoilt_body_is_an_error(name: str) -> None:
    packed = PACK[name](DATA)
    with pytest.raises(ClickHouseError, match="CANNOT_DECOMPRESS"):
        feed(decoder(name, Collected()), packed[:-5], 1000)
    with pytest.raises(ClickHouseError, match="CANNOT_DECOMPRESS"):
        feed(decoder(name, Collected()), b"\x00\xff garbage " * 10, 1000)


def test_an_unknown_encoding_is_an_error() -> None:
    with pytest.raises(ClickHouseError, match="UNKNOWN_COMPRESSION_METHOD"):
        decoder("rot13", Collected())


@pytest.mark.parametrize("name", PACK)
def test_an_answer_can_be_read_piece_by_piece(name: str) -> None:
    packer = encoder(f"identity, {name};q=0.5")
    assert packer.encoding == name
    out = Collected()
    reader = decoder(name, out)
    pieces = [b"piece %d " % n * 100 for n in range(10)]
    for n, piece in enumerate(pieces, 1):
        reader.write(packer.encode(piece))
        if name != "lz4":  # whose decoder for Python holds the end of a piece back
            assert out.data == b"".join(pieces[:n])
    reader.write(packer.finish())
    reader.finish()
    assert out.data == b"".join(pieces)


@pytest.mark.parametrize("accepted", ["", "identity", "rot13", "gzip;q=0"])
def test_without_a_common_encoding_an_answer_is_plain(accepted: str) -> None:
    packer = encoder(accepted)
    assert packer.encoding == ""
    assert packer.encode(b"x") == b"x"


@given(st.lists(st.binary(max_size=5000), max_size=5), st.integers(1, 4000))
def test_blocks_survive_the_way(pieces: list[bytes], piece: int) -> None:
    packer, out = BlockEncoder(), Collected()
    packed = b"".join(packer.encode(data) for data in pieces)
    feed(BlockDecoder(out), packed, piece)
    assert out.data == b"".join(pieces)


@given(st.data())
def test_a_spoilt_block_is_never_taken(data: st.DataObject) -> None:
    packed = bytearray(BlockEncoder().encode(b"some text " * 20))
    at = data.draw(st.integers(0, len(packed) - 1))
    packed[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ClickHouseError, match="CHECKSUM_DOESNT_MATCH|CANNOT_READ_ALL_DATA"):
        feed(BlockDecoder(Collected()), bytes(packed), 10_000)

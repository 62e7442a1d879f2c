"""Decompresses Snappy's block format.

Format: https://github.com/google/snappy/blob/main/format_description.txt. A varint with the size,
then tags: the two low bits say whether literal bytes follow or earlier output is repeated.
"""


class SnappyError(ValueError):
    """Bytes that are not a Snappy block, or one that is too large."""


def decompress(block: bytes, max_bytes: int) -> bytes:
    """The bytes that `block` stands for, at most `max_bytes` of them."""
    size, at = _read_size(block)
    if size > max_bytes:
        raise SnappyError(f"{size} bytes are more than {max_bytes}")
    output = bytearray()
    while at < len(block):
        tag = block[at]
        if tag & 3 == 0:
            at = _copy_literal(block, at, output)
        else:
            at = _repeat(block, at, output)
        if len(output) > size:
            break
    if len(output) != size:
        raise SnappyError(f"{size} bytes were announced, {len(output)} came")
    return bytes(output)


def _read_size(block: bytes) -> tuple[int, int]:
    size = shift = 0
    for at, byte in enumerate(block[:5]):
        size |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return size, at + 1
    raise SnappyError("no size at the beginning")


def _copy_literal(block: bytes, at: int, output: bytearray) -> int:
    length = block[at] >> 2
    at += 1
    if length >= 60:
        extra = length - 59
        length = int.from_bytes(block[at : at + extra], "little")
        at += extra
    length += 1
    if at + length > len(block):
        raise SnappyError("a literal goes beyond the end")
    output += block[at : at + length]
    return at + length


def _repeat(block: bytes, at: int, output: bytearray) -> int:
    tag = block[at]
    extra = {1: 1, 2: 2, 3: 4}[tag & 3]
    if at + extra >= len(block):
        raise SnappyError("a copy goes beyond the end")
    if extra == 1:
        length = 4 + (tag >> 2 & 7)
        offset = (tag >> 5) << 8 | block[at + 1]
    else:
        length = 1 + (tag >> 2)
        offset = int.from_bytes(block[at + 1 : at + 1 + extra], "little")
    if offset == 0 or offset > len(output):
        raise SnappyError("a copy from before the beginning")
    piece = output[-offset : len(output) - offset + length]
    while len(piece) < length:
        piece += piece[: length - len(piece)]
    output += piece
    return at + 1 + extra

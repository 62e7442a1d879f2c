"""Lines come out whole whatever the chunks that they arrive in."""

from hypothesis import given
from hypothesis import strategies as st

from tailrace.collect.framing import LineFramer


def feed(framer: LineFramer, chunks: list[bytes]) -> tuple[list[bytes], list[bytes], int]:
    """Lines, beginnings of lines that were given up, and the number of lines told."""
    lines: list[bytes] = []
    too_long: list[bytes] = []
    told = 0
    for found in [*(framer.feed(bytearray(part), len(part)) for part in chunks), framer.finish()]:
        assert not found.payload or found.payload.endswith(b"\n")
        lines += found.payload.split(b"\n")[:-1]
        too_long += found.too_long
        told += found.count
    return lines, too_long, told


@given(st.lists(st.binary(max_size=30).map(lambda part: part.replace(b"x", b"\n"))))
def test_any_cutting_gives_the_same_lines(chunks: list[bytes]) -> None:
    whole = b"".join(chunks)
    expected = whole.removesuffix(b"\n").split(b"\n") if whole else []
    lines, too_long, told = feed(LineFramer(), chunks)
    assert lines == expected
    assert told == len(lines)
    assert too_long == []


@given(
    st.lists(st.integers(0, 20).map(lambda size: b"a" * size), max_size=8),
    st.integers(1, 9),
)
def test_a_line_that_is_too_long_is_told_once_and_its_neighbours_come_out(
    wanted: list[bytes], step: int
) -> None:
    stream = b"".join(line + b"\n" for line in wanted)
    chunks = [stream[start : start + step] for start in range(0, len(stream), step)]
    lines, too_long, told = feed(LineFramer(max_line_bytes=10), chunks)
    # A line of 10 bytes and its newline may pass or not; what is longer may not.
    assert [line for line in lines if len(line) != 10] == [x for x in wanted if len(x) < 10]
    assert len(lines) + len(too_long) == len(wanted)
    assert told == len(lines)


def test_only_the_part_of_the_buffer_that_was_filled_counts() -> None:
    found = LineFramer().feed(bytearray(b"one\ntwo\nstale\n"), 8)
    assert (found.payload, found.count) == (b"one\ntwo\n", 2)

"""Points that InfluxDB would take for one another are kept apart, always in the same way."""

from hypothesis import given
from hypothesis import strategies as st

from tailrace.collect.line_protocol import apart, key, nanoseconds, quoted, series

HOUR_NS = 1_767_322_800_000_000_000
times = st.one_of(
    st.integers(HOUR_NS, HOUR_NS + 3),
    st.sampled_from([HOUR_NS, HOUR_NS + 10**9, HOUR_NS + 10**6, HOUR_NS + 10**3]),
    st.integers(-5, 5),
)
points = st.lists(
    st.builds(
        lambda name, value, time: f"{series(name, {'t': 'x y'})} v={value} {time}".encode(),
        st.sampled_from(["a", "a b", "b\\", "b,c"]),
        st.integers(0, 3),
        times,
    ),
    max_size=30,
)


def known_by(point: bytes) -> tuple[bytes, bytes]:
    """What a point is known by: all before its fields, and its time."""
    return point.partition(b" v=")[0], point.rpartition(b" ")[2]


@given(points, st.sampled_from(["", "token"]))
def test_no_two_points_agree_and_nothing_else_changes(
    given_points: list[bytes], token: str
) -> None:
    made = apart(given_points, token)
    assert len({known_by(point) for point in made}) == len(given_points)
    for point, was in zip(made, given_points, strict=True):
        assert point.rpartition(b" ")[0] == was.rpartition(b" ")[0]
        assert int(known_by(point)[1]) - int(known_by(was)[1]) in range(10**9 + 30)
    assert apart(given_points, token) == made


def test_without_a_token_a_time_that_is_alone_stays() -> None:
    whole = [b"m v=1 1000000000", b"m v=2 2000000000"]
    assert apart(whole) == whole


def test_a_fine_time_that_is_alone_stays_with_a_token_too() -> None:
    fine = [b"m v=1 1000000001", b"m v=2 1000000002"]
    assert apart(fine, "token") == fine


def test_batches_begin_at_places_of_their_own_within_what_their_times_are_whole_in() -> None:
    for unit in (10**9, 10**6):
        wanted = 7 * 10**9 if unit == 10**9 else 7 * 10**9 + 3 * 10**6
        moved = {int(known_by(apart([b"m v=1 %d" % wanted], f"t{n}")[0])[1]) for n in range(50)}
        assert len(moved) == 50
        assert all(wanted <= time < wanted + unit for time in moved)


def test_a_point_without_a_time_stays() -> None:
    no_times = [b'm text="ends in 5"', b"m v=5i", b'm text="a 5" ', b""]
    assert apart(no_times, "token") == no_times


def test_a_hundred_thousand_that_agree_are_no_matter() -> None:
    # One search from the beginning for each would take minutes.
    made = apart([b"m v=1 1000000001"] * 100_000)
    assert made[-1] == b"m v=1 1000100000"


def test_what_would_end_a_name_is_escaped() -> None:
    assert series("a b,c=d", {"z": "1", "k =,": "v\n", "none": ""}) == (
        r"a\ b\,c=d,k\ \=\,=v\\n,z=1"
    )
    assert key("a=b") == r"a\=b"
    assert quoted('say "\\"') == r'"say \"\\\""'


def test_times_have_nine_digits_behind_the_second() -> None:
    assert nanoseconds("2026-01-02T03:00:00Z") == HOUR_NS
    assert nanoseconds("2026-01-02 04:00:00.000000001+01:00") == HOUR_NS + 1
    assert nanoseconds("2026-13-02T03:00:00Z") is None
    assert nanoseconds("yesterday") is None

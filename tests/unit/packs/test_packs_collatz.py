"""The chains of the Collatz conjecture, and the messages that are made of them."""

import json
from itertools import chain as joined
from itertools import islice, pairwise

import pytest

from tailrace.errors import UsageError
from tailrace.packs import find_packs
from tailrace.packs.collatz.chains import LARGEST_START, chain, check
from tailrace.packs.collatz.generate import ChainGenerator, key_of, messages_of
from tailrace.settings import Settings


@pytest.mark.parametrize(
    ("number", "steps", "highest"),
    [
        (1, 0, 1),
        (2, 1, 2),
        (3, 7, 16),
        (27, 111, 9232),
        (97, 118, 9232),
        (837799, 524, 2974984576),
        (64848224337147, 1093, 1274106920208158465786267728),
    ],
)
def test_chains_have_the_known_lengths_and_heights(number: int, steps: int, highest: int) -> None:
    values = list(chain(number))
    assert values[0] == number
    assert values[-1] == 1
    assert (len(values) - 1, max(values)) == (steps, highest)
    assert all(2 * after == before or after == 3 * before + 1 for before, after in pairwise(values))


def test_a_chain_does_not_begin_below_one() -> None:
    with pytest.raises(ValueError, match="cannot follow 0"):
        next(chain(0))


def test_a_check_names_what_is_missing_and_what_is_wrong() -> None:
    stored = {step: [value] for step, value in enumerate(chain(6))}
    whole = check(6, stored)
    assert (whole.steps, whole.highest, whole.missing, whole.wrong) == (8, 16, [], [])
    del stored[2]
    stored[3] = [5, 11]
    stored[4] = [99]
    stored[9] = [4]
    found = check(6, stored)
    assert found.missing == [2, 4]
    assert found.wrong == [(3, [11]), (4, [99]), (9, [4])]


def test_messages_are_the_steps_of_whole_chains_of_numbers_in_the_range() -> None:
    made = ChainGenerator(7, 1000.0).chunks()
    lines = list(joined.from_iterable(chunk.render(0, 1.0) for chunk in islice(made, 5)))
    events = [json.loads(line) for line in lines]
    assert all(list(event) == ["Number", "Step", "Value"] for event in events)
    starts = [place for place, event in enumerate(events) if event["Step"] == 0]
    assert starts[0] == 0
    assert len(starts) > 5
    for first, end in pairwise(starts):
        number = events[first]["Number"]
        assert 1 <= number <= LARGEST_START
        assert [event["Value"] for event in events[first:end]] == list(chain(number))


def test_the_key_is_the_number_and_so_is_what_the_partition_is_made_of() -> None:
    assert next(messages_of(27)) == '{"Number":27,"Step":0,"Value":27}\n'
    assert {key_of(line) for line in messages_of(76375094243638)} == {
        (b"76375094243638", 76375094243638)
    }


@pytest.mark.parametrize("name", ["PARTITIONS", "REPLICATION_FACTOR"])
def test_a_topic_of_none_is_refused_by_its_own_name(name: str) -> None:
    settings = Settings.read()
    [collatz] = find_packs(settings, ["collatz"])
    with pytest.raises(UsageError, match=f"cannot use {name}='0': it must be at least 1"):
        collatz.values(settings, {name: "0"})

"""YAML as it is read everywhere: what it may never do, whatever its text is."""

import pytest

from tailrace.yaml_text import MOST_VALUES, YamlError, parse_yaml

UNFOLDING = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)
)
MERGING = "a0: &a0 {x: 1}\n" + "".join(
    f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}], k{n}: 1}}\n" for n in range(1, 12)
)


def test_values_and_lines() -> None:
    values, lines = parse_yaml("a: off\nb:\n  - 1\n  - {c: 2}\n")
    assert values == {"a": "off", "b": [1, {"c": 2}]}
    assert lines == {("a",): 1, ("b",): 2, ("b", 0): 3, ("b", 1): 4, ("b", 1, "c"): 4}
    assert parse_yaml("# nothing\n") == (None, {})


@pytest.mark.parametrize("text", [UNFOLDING, MERGING], ids=["lists", "merges"])
def test_aliases_cannot_unfold_to_gigabytes(text: str) -> None:
    with pytest.raises(YamlError, match=f"more than {MOST_VALUES} values"):
        parse_yaml(text)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: &a [*a]", "within itself"),
        ("a: " + "[" * 5000, "nested too deeply"),
        ("a: 1\na: 2", '"a" stands here a second time; first on line 1'),
        ("? [a, b]\n: 1", "a key must be text"),
        ("? &k [x]\n: 1\n? *k\n: 2", "a key must be text"),
        ("a: *b", "not YAML"),
        ("a: !!bool maybe", "not YAML"),
        ("a: !!timestamp soon", "not YAML"),
        ("a: !!int many", "not YAML"),
        ("a: !!python/object/apply:os.system [id]", "not YAML"),
        ("a: " + "9" * 5000, "not YAML"),
        ("\x00", "not YAML"),
        ("a:\tb: c", "not YAML"),
        ("a: 'open", "not YAML"),
    ],
)
def test_whatever_is_no_yaml_is_an_error_of_ours(text: str, problem: str) -> None:
    with pytest.raises(YamlError, match=problem):
        parse_yaml(text)

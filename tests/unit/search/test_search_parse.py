import pytest

from tailrace.errors import QueryError
from tailrace.search.parse import MAX_CHARACTERS, MAX_DEPTH, MAX_TERMS, parse
from tailrace.search.syntax import And, Compare, Everything, Exists, Match, Not, Or, Range, Regex


def test_terms_are_joined_by_and_which_binds_tighter_than_or() -> None:
    tree = parse("a b OR c AND d")
    assert isinstance(tree, Or)
    assert [type(node) for node in tree.nodes] == [And, And]


def test_empty_and_lone_star_mean_everything() -> None:
    assert parse("") == Everything()
    assert parse("   ") == Everything()
    assert parse("*") == Everything()


def test_a_group_hands_its_field_to_every_term() -> None:
    tree = parse("user:(42 OR NOT 43)")
    assert isinstance(tree, Or)
    first, second = tree.nodes
    assert isinstance(first, Match)
    assert first.field == "user"
    assert isinstance(second, Not)
    assert isinstance(second.node, Match)
    assert second.node.field == "user"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("status:>=500", Compare),
        ("status:[200 TO 300}", Range),
        ("trace_id:*", Exists),
        ("path:/ap[i]/", Regex),
        ("path:/api/*", Match),
        ("/a b/", Regex),
        ("http://example.org/x", Match),
        ("10:42:16", Match),
    ],
)
def test_what_a_term_is(text: str, kind: type) -> None:
    assert isinstance(parse(text), kind)


def test_backslash_takes_the_next_character_as_it_is() -> None:
    tree = parse(r"a\*b\:c")
    assert isinstance(tree, Match)
    assert tree.value.literal == "a*b:c"


def test_a_dash_by_itself_is_a_word_and_before_one_a_negation() -> None:
    tree = parse("a - -b")
    assert isinstance(tree, And)
    assert [type(node) for node in tree.nodes] == [Match, Match, Not]


@pytest.mark.parametrize(
    ("text", "position", "said"),
    [
        ("(a", 0, "')' of this '('"),
        ("a)", 1, "'(' of this ')'"),
        ("level:", 6, "a value after 'level:'"),
        ("x:[1 2]", 5, "expected TO"),
        ("x:[1 TO 2", 2, "']' or '}'"),
        ('say "hello', 4, "closing double quote"),
        ("OR a", 0, "expected a word"),
        ("a OR", 4, "expected a word"),
        ("a AND OR b", 6, "expected a word"),
        ("a | count", 2, "'|'"),
        ("NOT", 3, "expected a word"),
        ("x:>", 3, "a value after 'x:>'"),
        ("fine \ud800", 5, "UTF-8"),
    ],
)
def test_mistakes_name_their_place(text: str, position: int, said: str) -> None:
    with pytest.raises(QueryError) as caught:
        parse(text)
    assert caught.value.position == position
    assert said in str(caught.value)
    assert str(caught.value).startswith("cannot ")


def test_the_caret_stands_under_the_place() -> None:
    with pytest.raises(QueryError) as caught:
        parse("ab (c")
    assert caught.value.with_caret().splitlines()[:2] == ["ab (c", "   ^"]


@pytest.mark.parametrize(
    "text",
    [
        "a" * (MAX_CHARACTERS + 1),
        "(" * (MAX_DEPTH + 1) + "a" + ")" * (MAX_DEPTH + 1),
        "a " * (MAX_TERMS + 1),
    ],
    ids=["long", "deep", "wide"],
)
def test_size_is_bounded(text: str) -> None:
    with pytest.raises(QueryError):
        parse(text)


def test_many_negations_do_not_recurse() -> None:
    assert isinstance(parse("NOT " * 900 + "a"), Match)

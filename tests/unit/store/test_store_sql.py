import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.store.sql import split_statements


@pytest.mark.parametrize(
    ("text", "statements"),
    [
        ("", []),
        (" ;;\n; ", []),
        ("SELECT 1", ["SELECT 1"]),
        ("SELECT 1; SELECT 2;\n", ["SELECT 1", "SELECT 2"]),
        ("SELECT ';'; SELECT 2", ["SELECT ';'", "SELECT 2"]),
        ("SELECT 'it''s;' ; SELECT 2", ["SELECT 'it''s;'", "SELECT 2"]),
        (r"SELECT 'a\';b'; SELECT 2", [r"SELECT 'a\';b'", "SELECT 2"]),
        ('SELECT `a;b`, "c;d"; SELECT 2', ['SELECT `a;b`, "c;d"', "SELECT 2"]),
        ("-- first; still first\nSELECT 1;", ["-- first; still first\nSELECT 1"]),
        ("SELECT 1; -- the end; really\n", ["SELECT 1"]),
        ("/* a; b */ SELECT 1; /* only; a comment */", ["/* a; b */ SELECT 1"]),
        ("SELECT 1; # gone;\nSELECT 2", ["SELECT 1", "# gone;\nSELECT 2"]),
    ],
)
def test_semicolons_end_statements_outside_of_quotes_and_comments(
    text: str, statements: list[str]
) -> None:
    assert list(split_statements(text)) == statements


@given(st.lists(st.text(alphabet="abc ';\\-\n/*"), min_size=1, max_size=5))
def test_quoted_text_comes_through_whole(texts: list[str]) -> None:
    quoted = [
        "SELECT '" + re.sub(r"([\\'])", r"\\\1", text) + f"' AS t{number}"
        for number, text in enumerate(texts)
    ]
    assert list(split_statements(";".join(quoted))) == quoted

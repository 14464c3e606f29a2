from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mainstay.accounts.rules import new_token, parse_token


@given(st.integers(0, 63), st.characters(codec="ascii"))
def test_a_token_reads_back_and_one_wrong_letter_shows(position: int, letter: str) -> None:
    token = new_token()
    text = str(token)
    assert parse_token(text) == token
    altered = text[:position] + letter + text[position + 1 :]
    assert (parse_token(altered) is None) == (altered != text)


@given(st.text(max_size=200))
def test_any_text_is_answered_calmly(text: str) -> None:
    assert parse_token(text) is None

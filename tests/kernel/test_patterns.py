"""Patterns that people declare: what RE2 takes and means, what is refused and why, and how much work one may be."""

from __future__ import annotations

import time

import pytest

from mainstay.kernel.jsonpath import check_comparison
from mainstay.kernel.matchers import check_matcher
from mainstay.kernel.patterns import BadPattern, check_pattern, compile_pattern, fits, search, stored
from mainstay.kernel.probing import CheckFault


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("^SSH-2.0-", "SSH-2.0-x", True),
        ("^+OK", "OK", True),
        ("end$", "end\n", False),  # Python's $ would
        ("(?m)end$", "end\nmore", True),
        (r"end\z", "end", True),
        ("a(?i)b|C", "c", True),
        ("(a(?i)b)c", "aBC", False),
        ("(?s)a.b", "a\nb", True),
        ("[[:^space:]]", " ", False),
        (r"\Qa.b\E", "axb", False),
        (r"\x{263A}", "\u263a", True),
        (r"\d", "\u0663", False),  # an Arabic digit
        (r"^\pL+$", "Grüße", True),
        ("(?<year>[0-9]{4})", "in 2026", True),
        ("a{,2}", "a{,2}", True),
        ("[a&&b]", "&", True),
        ("a", "\ud800a", True),  # half a character, as JSON may hold it
    ],
)
def test_patterns_mean_what_they_mean_in_go(pattern: str, text: str, matches: bool) -> None:
    assert (search(compile_pattern(pattern), text) is not None) == matches


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ("(", "missing"),
        ("a**", "repetition"),
        ("(?=a)", "look-around"),
        ("(?<!a)b", "look-around"),
        (r"(a)\1", "backreferences"),
        (r"end\Z", r"the end of the text is \\z"),
        (r"\y", "escape"),
        (r"a\\\C", "a single byte"),
        ("(a{1000}){2}", "repetition"),
        (r"\pL{100}", "too large|too often"),
        ("a" * 1001, "at most 1000"),
        ("\ud800", "half a surrogate pair"),
    ],
)
def test_what_cannot_be_matched_is_refused(pattern: str, says: str) -> None:
    with pytest.raises(BadPattern, match=says):
        check_pattern(pattern)


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*b", "(x+x+)+y", "(.*)(.*)(.*)(.*)[0-9]"])
def test_nested_quantifiers_are_matched_at_once(pattern: str) -> None:
    text = "a" * 100_000 + "!"
    began = time.perf_counter()
    assert search(compile_pattern(pattern), text) is None
    assert not fits(compile_pattern(pattern), text)
    assert time.perf_counter() - began < 2


def test_pattern_and_text_are_bounded_together() -> None:
    with pytest.raises(CheckFault, match="too large for a text") as caught:
        search(compile_pattern("(?:[ab]c?){999}d"), "a" * 1_048_576)
    assert (caught.value.code, caught.value.verdict) == ("expect.regex_slow", "unknown")


def test_what_is_stored_may_hold_what_is_refused_now() -> None:
    with stored():
        assert check_pattern("(?=a)") == "(?=a)"
        check_comparison("=~ (?=a)")
        assert check_matcher('team=~"(?=a)"') == 'team=~"(?=a)"'
        with pytest.raises(ValueError, match="is not a matcher"):
            check_matcher("team~a")
    with pytest.raises(BadPattern):
        check_comparison("=~ (?=a)")

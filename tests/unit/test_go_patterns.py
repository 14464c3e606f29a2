"""Go's regular expressions in Python: what each matches in Go, where the two differ."""

from __future__ import annotations

import re

import pytest

from mainstay.kernel.go_patterns import python_pattern


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("^SSH-2.0-", "SSH-2.0-x", True),
        ("^+OK", "OK", True),
        ("^+OK", "+OK", False),
        ("end$", "end\n", False),  # Python's $ would
        ("(?m)end$", "end\nmore", True),
        (r"end\z", "end", True),
        ("a(?i)b|C", "aB", True),
        ("a(?i)b|C", "c", True),
        ("a(?i)b|C", "AB", False),
        ("(a(?i)b)c", "aBC", False),
        ("(?i:ab)c", "ABc", True),
        ("(?s)a.b", "a\nb", True),
        ("[[:alpha:]]+$", "abc", True),
        ("[[:^space:]]", " ", False),
        ("[[]x[]]", "[x]", True),
        (r"\Qa.b\E.", "a.bc", True),
        (r"\Qa.b\E", "axb", False),
        (r"\x{263A}", "\u263a", True),
        (r"\d", "\u0663", False),  # an Arabic digit
        ("a{,2}", "a{,2}", True),
        ("(?P<year>[0-9]{4})", "in 2026", True),
        ("(?<year>[0-9]{4})", "in 2026", True),
        ("[a&&b]", "&", True),
        ("(?i)^\\s*ok$", "  OK", True),
    ],
)
def test_matches_as_in_go(pattern: str, text: str, matches: bool) -> None:
    assert (re.search(python_pattern(pattern), text) is not None) == matches


@pytest.mark.parametrize(
    "pattern",
    ["(", ")", "[a", "(?=a)", "(?!a)", r"\1", r"\pL", r"\C", "(?U)a*", "a**", "a++", "a{2}+", "[[:^alpha:]]", "\\"],
)
def test_what_cannot_be_said_is_an_error(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"`|regular"):
        python_pattern(pattern)

"""Label matchers as Alertmanager reads them: the classic way, and what only its UTF-8 way takes."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay.kernel.matchers import Matcher, all_match, exact_pairs, is_broken, parse_matcher


@pytest.mark.parametrize(
    ("text", "label", "value"),
    [
        (r'host=~"web\d+"', "host", r"web\d+"),
        (r'host=~"web\\d+"', "host", r"web\d+"),
        (r'a="say \"hi\""', "a", 'say "hi"'),
        (r'a="two\nlines"', "a", "two\nlines"),
        (r'a="tab\t"', "a", r"tab\t"),
        (r'a="c:\\new"', "a", r"c:\new"),
        (r"host=~web\d+", "host", r"web\d+"),
        (r"a=c:\\x", "a", r"c:\x"),
        ("a=", "a", ""),
        (' a != "b, {c}" ', "a", "b, {c}"),
        ('"my label"="x"', "my label", "x"),
        ('größe="ü"', "größe", "ü"),
        ("name.with-more=x", "name.with-more", "x"),
        ('a:b="x"', "a:b", "x"),
        (r'"a\"b"="x"', 'a"b', "x"),
    ],
)
def test_backslashes_and_names(text: str, label: str, value: str) -> None:
    found = parse_matcher(text)
    assert (found.label, found.value) == (label, value)


@pytest.mark.parametrize("text", ["", "a", "=x", '""="x"', 'a="x', 'a="x"y', "a=b c", "a=b,c=d", "{a=b}", 'a=="x"y'])
def test_what_is_no_matcher(text: str) -> None:
    with pytest.raises(ValueError, match="is not a matcher"):
        parse_matcher(text)


@pytest.mark.parametrize(
    ("text", "value", "fits"),
    [
        (r'host=~"web\d+"', "web12", True),
        (r'host=~"web\d+"', "webdd", False),
        (r'host=~"web\d+"', "my-web12", False),  # the whole value
        (r'host!~"web\d+"', "web12", False),
        ('host=~"a|b"', "b", True),
        ('host=~"(a+)+$"', "a" * 1000 + "!", False),
        ('host!~".+"', "", True),
    ],
)
def test_patterns_match_the_whole_value(text: str, value: str, fits: bool) -> None:
    began = time.perf_counter()
    assert parse_matcher(text).matches({"host": value}) == fits
    assert time.perf_counter() - began < 2


@given(st.text(min_size=1, max_size=20), st.text(max_size=40))
def test_what_is_written_is_read_again(label: str, value: str) -> None:
    matcher = Matcher(label, "=", value)
    assert parse_matcher(str(matcher)) == matcher


def test_a_stored_matcher_with_a_pattern_that_is_refused_now_fits_nothing() -> None:
    broken = [r'team=~"(?!core).*"', 'severity="P1"']
    assert is_broken(broken)
    assert not all_match(broken, {"team": "web", "severity": "P1"})
    assert not all_match([r'team!~"(?=x)"'], {"team": "web"})
    assert exact_pairs(broken) == {"severity": "P1"}

"""The parts of the HTTP check that decide without a network: paths, comparisons, statuses, credentials."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay.integrations.checks.http.credentials import is_secret_name, shown_url, userinfo, without_userinfo
from mainstay.integrations.checks.http.expectations import parse_headers
from mainstay.integrations.checks.http.request import clean_url, is_plain_address
from mainstay.integrations.checks.http.statuses import describe, parse_statuses
from mainstay.kernel.jsonpath import NoSuchValue, find, parse_comparison, parse_path
from mainstay.kernel.probing import CheckFault


@pytest.mark.parametrize(
    ("path", "steps"),
    [
        ("$", ()),
        ("$.status", ("status",)),
        ("$.a-b.c_d", ("a-b", "c_d")),
        ("$.items[0]['x y'][-1]", ("items", 0, "x y", -1)),
        ('$["a\\"b"]', ('a"b',)),
        ("$.größe", ("größe",)),
    ],
)
def test_paths(path: str, steps: tuple[Any, ...]) -> None:
    assert parse_path(path) == steps


@pytest.mark.parametrize("path", ["", "status", "$.", "$..a", "$[*]", "$[a]", "$[0:1]", "$.a b", "$[", "$" + ".a" * 33])
def test_paths_that_are_none(path: str) -> None:
    with pytest.raises(ValueError, match="path"):
        parse_path(path)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=10,
    ),
    st.lists(st.one_of(st.text(max_size=5), st.integers(-3, 3)), max_size=4),
)
def test_finding_fails_in_one_way_only(document: Any, steps: list[str | int]) -> None:
    with suppress(NoSuchValue):
        find(document, tuple(steps))


@pytest.mark.parametrize(
    ("expected", "value", "holds"),
    [
        (3, 3, True),
        (3, 3.0, True),
        (3, "3", False),
        (1, True, False),
        (True, True, True),
        (None, None, True),
        ("healthy", "healthy", True),
        ("== >= 3", ">= 3", True),
        ("!= 3", 4, True),
        ("!= null", None, False),
        (">= 3", 3, True),
        ("> 3", True, False),
        ("< 2.5", 2, True),
        ("<=-1", -1, True),
        ("=~ ^v\\d", "v7", True),
        ("=~ ^v\\d", 7, False),
        ([1, 2], [1, 2], True),
        ({"a": 1}, {"a": 1}, True),
        ("== 1", "1", True),
        ("!= 1", "1", False),
        ("== true", "true", True),
        ('== "1"', 1, False),
        (1, "1", False),
        ("!= null", "null", True),
        ("> 3", "4", True),
        ("> 3", "four", False),
        (r"=~ ^\d$", 5, True),
        ("=~ ^(?:1|true)$", True, True),
        ("=~ null", None, False),
    ],
)
def test_comparisons(expected: Any, value: Any, holds: bool) -> None:
    assert parse_comparison(expected).holds(value) is holds


@pytest.mark.parametrize(
    ("written", "shown"),
    [(200, "200"), ("200-299", "200-299"), ("2xx, 404", "200-299, 404"), ([200, "3XX"], "200, 300-399")],
)
def test_statuses(written: Any, shown: str) -> None:
    assert describe(parse_statuses(written)) == shown


@pytest.mark.parametrize("written", ["", "600", "99", "2x", "200-", "299-200", True, None, 2.5, "200;204"])
def test_statuses_that_are_none(written: Any) -> None:
    with pytest.raises(ValueError, match=r"status|before"):
        parse_statuses(written)


@pytest.mark.parametrize("name", ["Authorization", "cookie", "X-Api-Key", "PRIVATE-TOKEN", "api_key", "access_token"])
def test_names_of_credentials(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["Accept", "X-Request-Id", "tokenizer", "page", "author", "X-Authority"])
def test_names_that_are_not(name: str) -> None:
    assert not is_secret_name(name)


def test_urls_without_credentials() -> None:
    assert userinfo("https://a:b@c@example.com/x@y") == "a:b@c"
    assert without_userinfo("https://a:b@example.com/x@y") == "https://example.com/x@y"
    assert shown_url("https://a:b@example.com/?token=abc&x=1") == "https://example.com/?token=***&x=1"


@pytest.mark.parametrize(
    ("url", "clean"),
    [
        ("http://example.com", "http://example.com/"),
        ("HTTP://Example.com:80/ä?q=ö#part", "http://example.com:80/%C3%A4?q=%C3%B6"),
        ("http://bücher.example/", "http://xn--bcher-kva.example/"),
        ("http://a:b@example.com/", "http://example.com/"),
        ("http://[::1]:8080/x", "http://[::1]:8080/x"),
    ],
)
def test_clean_urls(url: str, clean: str) -> None:
    assert clean_url(url) == clean


@pytest.mark.parametrize("url", ["file:///etc/passwd", "http:///x", "http://[::1/", "http://x:port/", "//example.com"])
def test_urls_that_cannot_be_used(url: str) -> None:
    with pytest.raises(CheckFault):
        clean_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1@example.com/",
        "http://127.0.0.1\\@example.com/",
        "http://127.0.0.1.example.com/",
        "http://127.0.0.1:80:90/",
        "http://127.1/",
        "http://[::1]/",
        "http://127.0.0.1#@example.com/",
        "http://127.0.0.1 /",
    ],
)
def test_only_an_unmistakable_address_is_plain(url: str) -> None:
    assert is_plain_address(url) == ""
    assert is_plain_address("https://127.0.0.1:8443/x?y#z") == "127.0.0.1"


def test_headers_of_the_last_answer_count() -> None:
    lines = [
        b"HTTP/1.1 100 Continue\r\n",
        b"X-A: 1\r\n",
        b"\r\n",
        b"HTTP/1.1 200 OK\r\n",
        b"x-b: 2\r\n",
        b"X-B: \xff\r\n",
    ]
    assert parse_headers(lines) == {"x-b": "2, ÿ"}

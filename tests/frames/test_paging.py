"""Numbered pages: which one is asked for, and where those beside it are."""

from __future__ import annotations

import pytest
from django.test import RequestFactory

from mainstay.frames.web.paging import turn


@pytest.mark.parametrize(
    ("asked", "number"),
    [("", 1), ("1", 1), ("3", 3), ("99", 3), ("x", 1), ("1e3", 1), ("\u0663", 3), ("9" * 6000, 1)],
)
def test_a_page_is_found_for_whatever_is_asked(asked: str, number: int) -> None:
    found = turn(RequestFactory().get("/", {"page": asked}), 21, 10, {})
    assert (found.number, found.last, found.start) == (number, 3, (number - 1) * 10)


def test_links_keep_what_was_asked_and_end_at_both_ends() -> None:
    middle = turn(RequestFactory().get("/?page=2"), 30, 10, {"q": "a b", "state": ""})
    assert (middle.previous, middle.next) == ("?q=a+b&page=1", "?q=a+b&page=3")
    first, last = (turn(RequestFactory().get(f"/?page={n}"), 30, 10, {}) for n in (1, 3))
    assert (first.previous, last.next) == ("", "")


def test_an_empty_list_has_one_page() -> None:
    only = turn(RequestFactory().get("/"), 0, 10, {})
    assert (only.number, only.last, only.start, only.next) == (1, 1, 0, "")

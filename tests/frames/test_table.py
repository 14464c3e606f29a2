"""Headings of tables: what people ask for by them, and what is no order."""

from __future__ import annotations

import pytest

from mainstay.frames.web.table import Column, Sorting, heads

KEYS = {"Name": lambda row: row[0], "Note": None, "#Last run": lambda row: row[1]}
ROWS = [("b", 3), ("a", 2), ("c", 1)]


@pytest.mark.parametrize(
    ("asked", "order"),
    [("", "bac"), ("name", "abc"), ("-name", "cba"), ("last-run", "cab"), ("-last-run", "bac"), ("note", "bac")],
)
def test_rows_are_in_the_order_of_the_heading_that_was_asked_for(asked: str, order: str) -> None:
    assert "".join(name for name, _ in Sorting(KEYS, asked).sorted(ROWS)) == order


def test_a_heading_turns_the_order_round_and_keeps_the_search() -> None:
    assert Sorting(KEYS, "name").columns({"q": "a b", "sort": "name", "page": "3", "state": ""}) == [
        Column("Name", url="?q=a+b&sort=-name", order="ascending"),
        Column("Note"),
        Column("Last run", number=True, url="?q=a+b&sort=last-run"),
    ]
    assert Sorting(KEYS, "-name").columns({})[0] == Column("Name", url="?sort=name", order="descending")


def test_headings_without_an_order_are_a_text() -> None:
    assert heads("State|#Took") == [Column("State"), Column("Took", number=True)]

"""Numbered pages of a list, as `web/pager.html` shows them. Lists that grow at their head page by keys instead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from django.core.paginator import Paginator

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mainstay.store.requests import PageRequest


@dataclass(frozen=True, slots=True)
class Turn:
    """One of the pages: the rows from `start` on; `previous` and `next` are addresses, empty where there is none."""

    number: int
    last: int
    start: int
    previous: str
    next: str


def turn(request: PageRequest, found: int, size: int, kept: Mapping[str, str]) -> Turn:
    """The page of `found` rows that `?page=` asks for: the first for what is no number, the last for one beyond it.

    Links to the pages beside it keep what is not empty of `kept`.
    """
    page = Paginator(range(found), size).get_page(request.GET.get("page"))
    query = {name: value for name, value in kept.items() if value}

    def link(number: int) -> str:
        return "?" + urlencode({**query, "page": number})

    return Turn(
        number=page.number,
        last=page.paginator.num_pages,
        start=(page.number - 1) * size,
        previous=link(page.number - 1) if page.has_previous() else "",
        next=link(page.number + 1) if page.has_next() else "",
    )

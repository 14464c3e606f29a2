"""The list of status pages: what each tells the public now, and where it is."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from mainstay.statuspage.queries import Overview, overviews
from mainstay.statuspage.rules import SENTENCES, WORDS, Condition, Indicator

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mainstay.store.requests import PageRequest

_LOOKS: Mapping[Indicator, str] = {
    "none": "up",
    "minor": "degraded",
    "major": "down",
    "critical": "down",
    "maintenance": "maintenance",
    "unknown": "unknown",
}
_TROUBLES = 5  # components in trouble that are named


@dataclass(frozen=True, slots=True)
class Row:
    page: Overview
    look: str
    sentence: str
    troubles: list[tuple[str, str]]  # (component, its condition in words)
    further: int


@require_GET
def status_page_list(request: PageRequest) -> HttpResponse:
    rows = [_row(page) for page in overviews(time.time())]
    return render(request, "statuspage/list.html", {"rows": rows, "may_write": request.actor.may("resources:write")})


def _row(page: Overview) -> Row:
    calm: tuple[Condition, ...] = ("operational",)
    troubles = [(name, WORDS[condition]) for name, condition in page.conditions.items() if condition not in calm]
    further = max(0, len(troubles) - _TROUBLES)
    return Row(page, _LOOKS[page.indicator], SENTENCES[page.indicator], troubles[:_TROUBLES], further)

"""The journal's pages: read, search, follow, verify, export."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_POST

from mainstay.frames.downloads import download, json_lines
from mainstay.kernel.capability import CAPABILITIES, shown
from mainstay.kernel.clock import to_iso
from mainstay.kernel.errors import UserError
from mainstay.kernel.resource import KINDS
from mainstay.store.disclosures import note_export
from mainstay.store.journal import Entry, Filter
from mainstay.store.seals.proving import verify
from mainstay.store.seals.reading import history

if TYPE_CHECKING:
    from mainstay.store.requests import PageRequest

_PAGE = 50
_NUMBER_LIMIT = 2**62


@dataclass(frozen=True, slots=True)
class Line:
    """One entry with what a list shows of it."""

    entry: Entry
    url: str
    look: str
    title: str
    brief: str
    data: str


@require_GET
def journal(request: PageRequest) -> HttpResponse:
    """Entries newest first; `before` pages back by sequence number."""
    actor = request.actor
    actor.require("journal:read")
    asked = request.GET
    before = _number(asked.get("before", ""))
    wanted = _filter(request, before)
    found = list(history(wanted, limit=_PAGE + 1))
    query = {name: asked[name] for name in ("kind", "subject", "actor", "text", "since", "until") if asked.get(name)}
    context = {
        "lines": [_line(entry) for entry in found[:_PAGE]],
        "older": urlencode({**query, "before": found[_PAGE - 1].seq}) if len(found) > _PAGE else "",
        "newest": urlencode(query) if before else "",
        "export": urlencode(query),
        "asked": asked,
        "filtered": bool(query),
        "kinds": sorted({kind.partition(".")[0] + ".*" for kind in CAPABILITIES.events}) + sorted(CAPABILITIES.events),
        "may_export": actor.may("journal:export"),
    }
    return render(request, "journal/list.html", context)


@require_POST
def verify_journal(request: PageRequest) -> HttpResponse:
    """Check the chain since the newest seal now; answers with a notice."""
    actor = request.actor
    actor.require("journal:read")
    return render(request, "journal/verified.html", {"result": verify()})


@require_GET
def export_journal(request: PageRequest) -> StreamingHttpResponse:
    """Everything that fits the filters, oldest first, one JSON object a line."""
    actor = request.actor
    actor.require("journal:export")
    wanted = _filter(request, None)
    note_export(actor, wanted, "page")
    found = history(wanted, limit=0, newest_first=False)
    name = f"journal-{to_iso(datetime.now(UTC).timestamp())[:10]}.jsonl"
    return download(json_lines(found), "application/x-ndjson; charset=utf-8", name)


def _filter(request: PageRequest, before: int | None) -> Filter:
    asked = request.GET
    return Filter(
        kind=asked.get("kind", "").strip()[:60],
        subject=asked.get("subject", "").strip()[:200],
        actor=asked.get("actor", "").strip()[:300],
        text=asked.get("text", "").strip()[:200],
        since=_day(asked.get("since", "")),
        until=_day(asked.get("until", "")),
        before_seq=before,
    )


def _number(text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit()) or int(text[:20]) > _NUMBER_LIMIT:
        raise UserError("`before` is the number of an entry", hint="leave it out to see the newest entries")
    return int(text)


def _day(text: str) -> float | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UserError(f"`{text[:40]}` is not a time", hint="write it as 2026-01-31 or 2026-01-31T14:00") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


_TOLD = ("message", "reason", "error", "channel", "summary", "revision", "role", "outcome", "version")


def _line(entry: Entry) -> Line:
    look, title = shown(entry.kind)
    data = json.dumps(entry.data, ensure_ascii=False, indent=2)
    return Line(entry, KINDS.page_of(entry.subject), look, title, brief(entry.data), data)


def brief(data: dict[str, Any]) -> str:
    """The most telling part of an event's data, in a few words."""
    counts = data.get("counts")
    if isinstance(counts, dict):
        return ", ".join(f"{number} {word}" for word, number in counts.items() if number)
    told = next((str(data[name]) for name in _TOLD if data.get(name)), "")
    return told.replace("_", " ")[:160]

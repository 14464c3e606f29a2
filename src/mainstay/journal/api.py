"""The journal over the API: search, export as JSON lines, verify."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

from django.http import HttpRequest, StreamingHttpResponse
from ninja import Query, Router, Schema
from pydantic import Field

from mainstay.accounts.api_doors import actor_of, requires
from mainstay.frames import schemas
from mainstay.frames.downloads import download, json_lines
from mainstay.kernel.texts import MOST, Text
from mainstay.store.disclosures import note_export
from mainstay.store.journal import Entry, Filter
from mainstay.store.seals.proving import verify
from mainstay.store.seals.reading import history

router = Router()


class JournalFilter(Schema):
    """Which entries; empty fields fit everything."""

    kind: Text = Field("", max_length=60, description="such as `monitor.went_down`, or `monitor.*`")
    subject: Text = Field("", max_length=200, description="such as `monitor/api`")
    actor: Text = Field("", max_length=300, description="part of the actor, such as `user:`")
    text: Text = Field("", max_length=200, description="part of the entry's data")
    since: datetime | None = None
    until: datetime | None = None
    after: int = Field(0, ge=0, le=MOST, description="entries with a higher number only")
    before: int | None = Field(None, ge=0, le=MOST, description="entries with a lower number only")

    def as_filter(self) -> Filter:
        return Filter(
            kind=self.kind,
            subject=self.subject,
            actor=self.actor,
            text=self.text,
            since=self.since.timestamp() if self.since else None,
            until=self.until.timestamp() if self.until else None,
            after_seq=self.after,
            before_seq=self.before,
        )


@schemas.of(Entry)
class JournalEntryOut(Schema):
    pass


class JournalPage(Schema):
    """Newest first. Ask again with `before` set to `next` for older entries; null: that was all."""

    entries: list[JournalEntryOut]
    next: int | None


class VerificationOut(Schema):
    checked: int = Field(description="entries that were compared, from `since` on")
    since: int
    broken_at: int | None
    reason: str
    erased: int = Field(description="entries among them whose personal data was erased, as a later entry records")
    segments: int = Field(description="sealed ranges of entries")
    deleted_to: int = Field(description="entries up to this one were deleted by age, except their seals; 0: none")
    other_keys: int = Field(description="seals signed with a key other than this install's")


Wanted = Annotated[JournalFilter, Query()]


@router.get("", response=JournalPage, summary="Search the journal")
@requires("journal:read")
def list_entries(
    request: HttpRequest, wanted: Wanted, limit: Annotated[int, Query(ge=1, le=1000)] = 100
) -> dict[str, Any]:
    found = list(history(wanted.as_filter(), limit=limit + 1))
    page = found[:limit]
    return {"entries": page, "next": page[-1].seq if len(found) > limit else None}


@router.get("/export", summary="Export the journal as JSON lines, oldest first")
@requires("journal:export")
def export(request: HttpRequest, wanted: Wanted) -> StreamingHttpResponse:
    note_export(actor_of(request), wanted.as_filter(), "api")
    found = history(wanted.as_filter(), limit=0, newest_first=False)
    return download(json_lines(found), "application/x-ndjson", "mainstay-journal.jsonl")


@router.get("/verify", response=VerificationOut, summary="Verify the journal since its newest seal, or all of it")
@requires("journal:export")
def verify_chain(
    request: HttpRequest, everything: Annotated[bool, Query(alias="all", description="every segment too")] = False
) -> dict[str, Any]:
    return asdict(verify(everything=everything))

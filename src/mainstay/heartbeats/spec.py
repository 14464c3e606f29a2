"""What a user may declare of a heartbeat."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from mainstay.kernel.asking import first, sort
from mainstay.kernel.capability import Surroundings
from mainstay.kernel.duration import Duration
from mainstay.kernel.labels import Label, LabelName, Severity
from mainstay.kernel.resource import Kind, Spec
from mainstay.kernel.schedule import check_calendar, check_cron
from mainstay.kernel.secret import Text
from mainstay.kernel.spec_fields import Zone


class Keywords(Spec):
    """Words, comma-separated, case counts, that say what a mail or the body of an HTTP ping means.

    Looked for in this order: failure, success, start. They count only where one of the switches is on.
    """

    failure: str = Field("", max_length=200, description="any of them makes it a failure")
    success: str = Field("", max_length=200, description="any of them makes it a success")
    start: str = Field("", max_length=200, description="any of them makes it the start of a run")
    subject: bool = Field(False, description="look at the subject of mail")
    body: bool = Field(False, description="look at the text of mail")
    http_body: bool = Field(False, description="look at the body of pings over HTTP, whatever their address says")
    default_fail: bool = Field(False, description="a failure if none is found; otherwise it is kept without effect")

    @property
    def mail(self) -> bool:
        return self.subject or self.body


class HeartbeatSpec(Spec):
    """Exactly one of `every`, `cron` and `on_calendar` says when a ping is due."""

    model_config = ConfigDict(
        json_schema_extra=first(
            "timezone",
            "grace",
            "severity",
            "labels",
            "description",
            either={"At an interval": ("every",), "By a cron expression": ("cron",), "By a calendar": ("on_calendar",)},
            asks="When it reports in",
        )
    )

    every: Duration | None = Field(
        None, title="Reports in every", description="a ping is due this long after the last one", examples=["1h"]
    )
    cron: Annotated[str, Field(max_length=100), AfterValidator(check_cron)] | None = Field(
        None, description="a ping is due at these times: a cron expression of five fields", examples=["0 2 * * *"]
    )
    on_calendar: Annotated[str, Field(max_length=100), AfterValidator(check_calendar)] | None = Field(
        None,
        description="a ping is due at these times: OnCalendar expressions as in systemd timers, one on each line",
        examples=["Mon..Fri 06:30"],
        json_schema_extra=sort("lines"),
    )
    timezone: Zone = Field("UTC", description="time zone of the expression")
    grace: Duration = Field(300.0, ge=1, description="how late a ping may be before the heartbeat is down")
    early: Duration = Field(
        0.0, le=43_200, description="with an expression: a ping this long before a due time counts for that time"
    )
    start_within: Duration | None = Field(
        None, ge=1, description="a run must have started within this time after it was due; shorter than `grace`"
    )
    uuid: UUID | None = Field(
        None, description="keeps an existing address when moving from elsewhere; empty: generated"
    )
    title: str | None = Field(None, max_length=100, description="display name, in any characters; empty: its name")
    slug: Annotated[str, Field(max_length=100, pattern=r"^[a-z0-9_-]*$")] | None = Field(
        None, description="its name in addresses with the ping key; empty: derived from its name"
    )
    methods: Literal["", "POST"] = Field("", description="POST: pings by GET and HEAD are kept without effect")
    manual_resume: bool = Field(False, description="pings do not resume it when a person paused it")
    keywords: Keywords = Field(Keywords(), description="keywords that decide what a ping means")
    push_token: Annotated[Text, Field(min_length=8, max_length=200)] | None = Field(
        None, description="the token of a push monitor or external endpoint that moved here; best as ${env:NAME}"
    )
    severity: Severity = Field("P2", description="P0 (worst) to P3; becomes a label of its alerts")
    labels: dict[LabelName, Label] = Field(
        {}, max_length=40, description="free-form labels; routes and windows match them"
    )
    tags: list[Label] = Field([], max_length=40, description="keywords to find it by")
    description: str = Field("", max_length=2000, description="notes for whoever is alerted by it")
    enabled: bool = Field(True, description="false: declared, but paused")
    begins_paused: bool = Field(False, description="paused when first declared; its next ping resumes it")

    @model_validator(mode="after")
    def _one_schedule(self) -> HeartbeatSpec:
        if [self.every, self.cron, self.on_calendar].count(None) != 2:
            raise ValueError("a heartbeat needs exactly one of `every`, `cron` and `on_calendar`")
        if self.every is not None and self.every < 1:
            raise ValueError("`every` is at least 1s")
        if self.every is not None and self.early:
            raise ValueError("`early` goes with `cron` or `on_calendar`; with `every`, no ping is early")
        if self.start_within is not None and self.start_within >= self.grace:
            raise ValueError("`start_within` must be shorter than `grace`, in which the run has to end")
        return self


_HEARTBEAT = """heartbeats:
  nightly-backup:
    cron: "0 2 * * *"
    timezone: UTC
    grace: 30m
    severity: P1
"""


def _in_words(document: Mapping[str, Any]) -> str:
    zone = document.get("timezone", "UTC")
    if "cron" in document:
        return f"cron {document['cron']} {zone}"
    return f"{document['on_calendar']} {zone}" if "on_calendar" in document else f"every {document.get('every', '')}"


def heartbeat_kind(made: Callable[[list[str]], Mapping[str, dict[str, Any]]] | None = None) -> Kind:
    """made: uids -> the address that each heartbeat has, as its spec would declare it."""
    return Kind(
        "heartbeat",
        "heartbeats",
        "a job that reports in; silence raises an alert",
        HeartbeatSpec.model_validate,
        lambda: HeartbeatSpec.model_json_schema(mode="validation"),
        guarded=("uuid", "push_token"),
        made=made,
        example=_HEARTBEAT,
        in_words=_in_words,
        page="/heartbeats/{}/",
        said="mainstay.heartbeats.queries:said",
        labelled=True,
        afterwards=lambda _spec: "It waits for its first ping.",
    )


def kinds(_surroundings: Surroundings) -> tuple[Kind, ...]:
    return (heartbeat_kind(_addresses),)


def _addresses(uids: list[str]) -> Mapping[str, dict[str, Any]]:
    from mainstay.heartbeats.queries import addresses  # knows the tables, which a schema can do without

    return addresses(uids)

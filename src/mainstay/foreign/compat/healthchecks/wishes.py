"""What a client wants of a check, read as strictly as the original reads it, and as a heartbeat's document.

Limits and messages: hc/api/views.py (Spec, CUSTOM_ERRORS) of Healthchecks.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from django.utils.text import slugify
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_core import PydanticCustomError

from mainstay.foreign.compat.healthchecks.keys import Refusal
from mainstay.kernel.schedule import check_calendar, check_cron, is_cron
from mainstay.kernel.zones import check_zone

DAY, HOUR = 86_400, 3_600

_MESSAGES = {
    "too_long": "%s is too long",
    "string_too_long": "%s is too long",
    "string_type": "%s is not a string",
    "string_pattern_mismatch": "%s does not match pattern",
    "less_than_equal": "%s is too large",
    "greater_than_equal": "%s is too small",
    "int_type": "%s is not a number",
    "bool_type": "%s is not a boolean",
    "literal_error": "%s has unexpected value",
    "list_type": "%s is not an array",
    "cron_syntax": "%s is not a valid cron or OnCalendar expression",
    "tz_syntax": "%s is not a valid timezone",
}
_KEYWORDS = {
    "start_kw": "start",
    "success_kw": "success",
    "failure_kw": "failure",
    "filter_subject": "subject",
    "filter_body": "body",
    "filter_http_body": "http_body",
    "filter_default_fail": "default_fail",
}

Seconds = Annotated[int, Field(ge=60, le=31_536_000)]
Words = Annotated[str, Field(max_length=200)]


class Wish(BaseModel):
    """Fields that are not given stay None and change nothing; fields that are not known are ignored."""

    model_config = ConfigDict(strict=True, extra="ignore")

    name: Annotated[str, Field(max_length=100)] | None = None
    slug: Annotated[str, Field(max_length=100, pattern=r"^[a-z0-9_-]*$")] | None = None
    tags: Annotated[str, Field(max_length=500)] | None = None
    desc: Annotated[str, Field(max_length=2000)] | None = None
    timeout: Seconds | None = None
    grace: Seconds | None = None
    schedule: Annotated[str, Field(max_length=100)] | None = None
    tz: Annotated[str, Field(max_length=60)] | None = None
    manual_resume: bool | None = None
    methods: Literal["", "POST"] | None = None
    channels: Annotated[str, Field(max_length=10_000)] | None = None
    start_kw: Words | None = None
    success_kw: Words | None = None
    failure_kw: Words | None = None
    filter_subject: bool | None = None
    filter_body: bool | None = None
    filter_http_body: bool | None = None
    filter_default_fail: bool | None = None
    subject: Words | None = None
    subject_fail: Words | None = None
    unique: list[Literal["name", "slug", "tags", "timeout", "grace"]] | None = None

    @field_validator("schedule")
    @classmethod
    def _comes_true(cls, value: str) -> str:
        try:
            return check_cron(value) if is_cron(value) else check_calendar(value)
        except ValueError:
            raise PydanticCustomError("cron_syntax", "not an expression") from None

    @field_validator("tz")
    @classmethod
    def _is_zone(cls, value: str) -> str:
        try:
            return check_zone(value)
        except ValueError:
            raise PydanticCustomError("tz_syntax", "not a time zone") from None


def read_wish(document: dict[str, Any]) -> Wish:
    """Refusal names the first mistake as the original does."""
    try:
        # A null is a mistake, not an absent field: as a number of the wrong kind it fails wherever it stands.
        return Wish.model_validate({key: 0.5 if value is None else value for key, value in document.items()})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = [str(step) for step in first["loc"]]
        subject = f"an item in '{place[0]}'" if len(place) == 2 and place[0] == "unique" else place[0]
        message = _MESSAGES.get(first["type"], "%s is not valid") % subject
        raise Refusal(f"json validation error: {message}") from None


def changed(document: dict[str, Any], name: str, wish: Wish, version: int) -> dict[str, Any]:
    """The document of the heartbeat `name` with the wish in it."""
    after = dict(document)
    if wish.name is not None:
        after["title"] = None if wish.name == name else wish.name
        if version < 3:  # the slug follows the name, until version 3 parted them
            after["slug"] = slugify(wish.name)
    _schedule(after, wish)
    plain = {
        "slug": wish.slug,
        "grace": wish.grace,
        "description": wish.desc,
        "tags": None if wish.tags is None else wish.tags.split(),
        "manual_resume": wish.manual_resume,
        "methods": wish.methods,
        "timezone": wish.tz,
    }
    after |= {key: value for key, value in plain.items() if value is not None}
    after["keywords"] = _keywords(after.get("keywords") or {}, wish)
    return after


def _schedule(after: dict[str, Any], wish: Wish) -> None:
    """An expression wins over an interval."""
    if wish.schedule is None and wish.timeout is None:
        return
    for key in ("every", "cron", "on_calendar"):
        after.pop(key, None)
    if wish.schedule is None:
        after["every"] = wish.timeout
    else:
        after["cron" if is_cron(wish.schedule) else "on_calendar"] = wish.schedule


def _keywords(before: dict[str, Any], wish: Wish) -> dict[str, Any]:
    after = dict(before)
    for field, key in (("subject", "success"), ("subject_fail", "failure")):  # of the first version
        value = getattr(wish, field)
        if value is not None:
            after[key] = value
            after["subject"] = bool(after.get("success") or after.get("failure"))
    for field, key in _KEYWORDS.items():
        value = getattr(wish, field)
        if value is not None:
            after[key] = value
    return after

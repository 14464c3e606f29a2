"""What a user may declare of a maintenance window."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import AwareDatetime, ConfigDict, Field, model_validator

from mainstay.kernel.asking import first, helped
from mainstay.kernel.capability import Surroundings
from mainstay.kernel.resource import Kind, Spec
from mainstay.kernel.spec_fields import Matcher, RuleText, Zone


class WindowSpec(Spec):
    """Either a recurring `rule`, which `from` and `until` may bound, or one period `from` .. `until`."""

    model_config = ConfigDict(
        json_schema_extra=first(
            "covers",
            "description",
            either={"Recurring": ("rule", "timezone"), "Once": ("from", "until")},
            asks="When",
        )
    )

    rule: RuleText | None = Field(
        None,
        title="Days and times",
        examples=["first tuesday 02:00-04:00"],
        description="`daily 02:00-04:00`, `monday 01:00-02:00`, `first tuesday 02:00-04:00`, `day 15 22:00-02:00`",
    )
    start: AwareDatetime | None = Field(
        None,
        alias="from",
        title="Starts",
        description="start of a single period, with its UTC offset; with a rule: no period starts earlier",
    )
    until: AwareDatetime | None = Field(
        None, title="Ends", description="end of a single period; with a rule: no period starts from then on"
    )
    timezone: Zone = Field("UTC", description="time zone of the rule")
    covers: list[Matcher] = Field(
        [],
        max_length=40,
        title="What it covers",
        description="label matchers, all of which must match; none covers everything",
        json_schema_extra=helped("what has labels for which all of these hold; with none of these, everything"),
    )
    description: str = Field("", max_length=2000, description="shown on status pages")

    @model_validator(mode="after")
    def _one_form(self) -> WindowSpec:
        if self.rule is None and (self.start is None or self.until is None):
            raise ValueError("a window needs either `rule` or both `from` and `until`")
        if isinstance(self.start, datetime) and isinstance(self.until, datetime) and self.until <= self.start:
            raise ValueError("`until` must be after `from`")
        return self


_WINDOW = """windows:
  monthly:
    rule: first tuesday 02:00-04:00
    timezone: UTC
    covers: ['service="website"']
    description: Monthly updates
"""


def _in_words(document: Mapping[str, Any]) -> str:
    covers = " and ".join(document.get("covers", [])) or "everything"
    if document.get("rule"):
        bounds = "".join(f" {word} {document[word]}" for word in ("from", "until") if document.get(word))
        return f"{document['rule']} {document.get('timezone', 'UTC')}{bounds} covers {covers}"
    return f"{document.get('from')} to {document.get('until')} covers {covers}"


def window_kind() -> Kind:
    return Kind(
        "window",
        "windows",
        "planned work during which nobody is alerted",
        WindowSpec.model_validate,
        lambda: WindowSpec.model_json_schema(mode="validation"),
        example=_WINDOW,
        in_words=_in_words,
        facts="mainstay.windows.facts:window_facts",
        afterwards=lambda _spec: "Its next period, and what it covers, are shown below.",
    )


def kinds(_surroundings: Surroundings) -> tuple[Kind, ...]:
    return (window_kind(),)

"""What a user may declare of a heartbeat."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from pydantic import Field, field_validator, model_validator

from mainstay.kernel.duration import Duration
from mainstay.kernel.labels import Label, LabelName, Severity
from mainstay.kernel.resource import Kind, Spec
from mainstay.kernel.schedule import check_cron
from mainstay.kernel.zones import check_zone


class HeartbeatSpec(Spec):
    """Exactly one of `every` and `cron` says when a ping is due."""

    every: Duration | None = Field(None, description="a ping is due this long after the last one")
    cron: Annotated[str, Field(max_length=100)] | None = Field(
        None, description="a ping is due at these times: a cron expression of five fields"
    )
    timezone: str = Field("UTC", max_length=60, description="zone of the cron expression")
    grace: Duration = Field(300.0, ge=1, description="how late a ping may be before the heartbeat is down")
    uuid: UUID | None = Field(None, description="keep this address when moving from elsewhere; empty: made once")
    severity: Severity = Field("P2", description="P0 (worst) to P3; becomes a label of its alerts")
    labels: dict[LabelName, Label] = Field({}, max_length=40, description="free labels; routes and windows match them")
    tags: list[Label] = Field([], max_length=40, description="words to find it by")
    description: str = Field("", max_length=2000, description="for whoever is woken by it")
    enabled: bool = Field(True, description="false: declared, but paused")

    @field_validator("timezone")
    @classmethod
    def _zone_exists(cls, value: str) -> str:
        return check_zone(value)

    @field_validator("cron")
    @classmethod
    def _cron_parses(cls, value: str | None) -> str | None:
        if value is not None:
            check_cron(value)
        return value

    @model_validator(mode="after")
    def _one_schedule(self) -> HeartbeatSpec:
        if (self.every is None) == (self.cron is None):
            raise ValueError("a heartbeat needs exactly one of `every` and `cron`")
        if self.every is not None and self.every < 1:
            raise ValueError("`every` is at least 1s")
        return self


def heartbeat_kind() -> Kind:
    return Kind(
        "heartbeat",
        "heartbeats",
        "a job that reports in; silence is an alert",
        HeartbeatSpec.model_validate,
        lambda: HeartbeatSpec.model_json_schema(mode="validation"),
    )

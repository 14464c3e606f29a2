"""What a monitor may say about an NTP server."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import Field, model_validator

from mainstay.integrations.checks.endpoint_spec import EndpointTarget, TimedExpect
from mainstay.kernel.duration import Duration
from mainstay.kernel.ports import CheckKind


class NtpTarget(EndpointTarget):
    default_port: ClassVar[int | None] = 123

    address: str = Field(max_length=300, description="host or host:port; default port 123")


class NtpExpect(TimedExpect):
    offset: Duration = Field(
        1.0, description="a clock that is further from this machine's is a failure; one of the two is then wrong"
    )
    degraded_offset: Duration | None = Field(None, description="a clock that is further away than this is degraded")
    stratum: int = Field(15, ge=1, le=15, description="largest stratum (distance from a reference clock)")

    @model_validator(mode="after")
    def _offsets_in_order(self) -> Self:
        if self.degraded_offset is not None and self.degraded_offset > self.offset:
            raise ValueError("degraded_offset is above offset")
        return self


KIND = CheckKind(
    "ntp",
    "NTP server: its clock compared with ours",
    NtpTarget,
    NtpExpect,
    "address",
    lambda target: str(target.address),
    interval=300.0,
)

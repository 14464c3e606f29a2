"""What a monitor may say about ICMP echo."""

from __future__ import annotations

from pydantic import Field, field_validator

from mainstay.integrations.checks.endpoints import check_host
from mainstay.kernel.duration import Duration
from mainstay.kernel.ports import CheckKind
from mainstay.kernel.resource import Spec


class IcmpTarget(Spec):
    host: str = Field(max_length=255, description="name or address, IPv4 or IPv6")
    count: int = Field(3, ge=1, le=20, description="packets of one check, a fifth of a second apart")
    size: int = Field(56, ge=16, le=8192, description="bytes of each packet after the ICMP header")
    dont_fragment: bool = Field(
        False, description="packets too large for the path are lost, not fragmented; IPv4 on Linux"
    )
    ttl: int | None = Field(None, ge=1, le=255, description="hops that a packet may take; default: the system's")

    @field_validator("host")
    @classmethod
    def _host(cls, value: str) -> str:
        return check_host(value.strip().removeprefix("[").removesuffix("]"))


class IcmpExpect(Spec):
    loss_percent: float = Field(
        50, ge=0, lt=100, description="more packet loss than this is a failure; losing all packets always is"
    )
    degraded_after: Duration | None = Field(None, description="a longer mean round trip is degraded")
    down_after: Duration | None = Field(None, description="a longer mean round trip is a failure")


KIND = CheckKind("icmp", "ICMP echo (ping)", IcmpTarget, IcmpExpect, "host", lambda target: str(target.host))

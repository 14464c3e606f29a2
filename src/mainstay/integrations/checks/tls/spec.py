"""What a monitor may say about a TLS certificate."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from mainstay.integrations.checks.endpoints import check_host, split_endpoint
from mainstay.kernel.duration import Duration
from mainstay.kernel.ports import CheckKind
from mainstay.kernel.resource import Spec
from mainstay.kernel.secret import Text

DEFAULT_PORT = 443


class TlsTarget(Spec):
    address: str = Field(max_length=300, description="host or host:port; default port 443")
    server_name: str | None = Field(
        None, max_length=253, description="name to request (SNI) and to verify; default: the host"
    )
    verify: bool = Field(
        True, description="false: any issuer and name is accepted (self-signed devices); expiry still counts"
    )
    ca: Text | None = Field(
        None, description="certificates to trust (PEM, such as ${file:/path}); default: the system's"
    )

    @field_validator("address")
    @classmethod
    def _endpoint(cls, value: str) -> str:
        split_endpoint(value, DEFAULT_PORT)
        return value.strip()

    @field_validator("server_name")
    @classmethod
    def _name(cls, value: str | None) -> str | None:
        return value if value is None else check_host(value)


class TlsExpect(Spec):
    days: float | None = Field(
        None,
        ge=0,
        le=3650,
        description="degraded with fewer days left on any certificate; default: a third of the lifetime of the "
        "server's own",
    )
    names: list[str] = Field([], max_length=100, description="host names that the certificate must cover")
    issuer: str | None = Field(None, min_length=1, max_length=300, description="text in the issuer's name")
    min_version: Literal["1.2", "1.3"] | None = Field(None, description="oldest TLS version that may be negotiated")
    degraded_after: Duration | None = Field(None, description="slower than this, all phases together, is degraded")
    down_after: Duration | None = Field(None, description="slower than this is a failure")

    @field_validator("names")
    @classmethod
    def _hosts(cls, value: list[str]) -> list[str]:
        return [check_host(name) for name in value]


KIND = CheckKind(
    "tls",
    "TLS certificate: its chain, names and days left",
    TlsTarget,
    TlsExpect,
    "address",
    lambda target: str(target.address),
    interval=3600.0,
)

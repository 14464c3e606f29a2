"""What a monitor may say about the registration of a domain."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from mainstay.integrations.checks.domain.names import ascii_name
from mainstay.integrations.checks.endpoint_spec import OneOrMore, TimedExpect
from mainstay.integrations.checks.endpoints import split_endpoint
from mainstay.integrations.checks.http.spec import check_url
from mainstay.kernel.ports import CheckKind
from mainstay.kernel.resource import Spec
from mainstay.kernel.secret import Text


class DomainTarget(Spec):
    name: str = Field(min_length=3, max_length=253, description="domain as it is registered, such as example.com")
    method: Literal["auto", "rdap", "whois"] = Field(
        "auto", description="auto: RDAP, and WHOIS if that does not give the date"
    )
    rdap: Text | None = Field(None, max_length=1000, description="URL of the RDAP server; default: the one in the list")
    bootstrap: Text = Field(
        "https://data.iana.org/rdap/dns.json",
        max_length=1000,
        description="URL of the list of RDAP servers (RFC 9224), read once a day",
    )
    whois: str | None = Field(
        None,
        max_length=300,
        description="host or host:port of the WHOIS server; default: the one that whois.iana.org refers to",
    )
    ca: Text | None = Field(
        None, description="certificates to trust for RDAP (PEM, such as ${file:/path}); default: the system's"
    )

    @field_validator("name")
    @classmethod
    def _registered(cls, value: str) -> str:
        ascii_name(value)
        return value.strip().rstrip(".").lower()

    @field_validator("rdap", "bootstrap")
    @classmethod
    def _url(cls, value: str | None) -> str | None:
        if value is not None:
            check_url(value, ("https", "http"), "https://rdap.example.com/")
        return value

    @field_validator("whois")
    @classmethod
    def _server(cls, value: str | None) -> str | None:
        if value is not None:
            split_endpoint(value, 43)
        return value


class DomainExpect(TimedExpect):
    days: float = Field(30, ge=0, le=3650, description="degraded with fewer days until it expires")
    down_days: float = Field(7, ge=0, le=3650, description="a failure with fewer days until it expires")
    registrar: str | None = Field(None, min_length=1, max_length=200, description="text in the registrar's name")
    nameservers: OneOrMore = Field(
        [], max_length=20, description="name servers that must be registered; a change of them is a failure"
    )

    @model_validator(mode="after")
    def _days_in_order(self) -> Self:
        if self.down_days > self.days:
            raise ValueError("down_days is above days")
        return self


KIND = CheckKind(
    "domain",
    "Registration of a domain, by RDAP or WHOIS",
    DomainTarget,
    DomainExpect,
    "name",
    lambda target: str(target.name),
    interval=86_400.0,
)

"""What a monitor may say about a DNS query."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, field_validator, model_validator

from mainstay.integrations.checks.endpoints import ip_address, split_endpoint
from mainstay.kernel.asking import first
from mainstay.kernel.duration import Duration
from mainstay.kernel.patterns import check_pattern
from mainstay.kernel.ports import CheckKind
from mainstay.kernel.resource import Spec
from mainstay.kernel.secret import Text

RecordType = Literal[
    "A",
    "AAAA",
    "ANY",
    "CAA",
    "CNAME",
    "DNSKEY",
    "DS",
    "HTTPS",
    "MX",
    "NAPTR",
    "NS",
    "PTR",
    "SOA",
    "SRV",
    "SVCB",
    "TLSA",
    "TXT",
]
RecordClass = Literal["IN", "CH", "HS", "NONE", "ANY"]
Rcode = Literal["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"]


class DnsTarget(Spec):
    model_config = ConfigDict(json_schema_extra=first("name", "type", "resolver"))

    name: str = Field(
        min_length=1, max_length=255, description="name to query; an IP address with type PTR is reversed"
    )
    type: RecordType = Field("A", description="record type")
    resolver: str = Field(
        "", max_length=80, description="address of the server to query, with or without port; empty: the system's"
    )
    protocol: Literal["udp", "tcp", "tls"] = Field("udp", description="tls is DNS over TLS, port 853")
    server_name: str | None = Field(
        None, max_length=253, description="name that a TLS server's certificate must have; default: its address"
    )

    verify: bool = Field(
        True, description="reject a TLS server's certificate that is not trusted or is for another name"
    )
    ca: Text | None = Field(
        None, description="certificates of TLS servers to trust (PEM, such as ${file:/path}); default: the system's"
    )
    class_: RecordClass = Field("IN", alias="class", description="record class; CH queries a server about itself")
    recursion: bool = Field(True, description="request recursion (the flag RD)")
    edns: bool = Field(True, description="announce that UDP answers may have 1232 bytes (EDNS)")

    @field_validator("name")
    @classmethod
    def _name(cls, value: str) -> str:
        name = value.strip()
        labels = name.rstrip(".").split(".") if name != "." else []
        if any(not label or len(label) > 63 for label in labels) or any(letter.isspace() for letter in name):
            raise ValueError(f"`{value[:80]}` is not a domain name: labels have 1 to 63 characters, without spaces")
        return name

    @field_validator("resolver")
    @classmethod
    def _resolver(cls, value: str) -> str:
        written = value.strip()
        if not written:
            return ""
        host, _ = split_endpoint(written, 53)
        if ip_address(host) is None:
            # A name would have to be looked up by another resolver first, and the result would blame the wrong one.
            raise ValueError(
                f"`{value[:80]}` is a name; a resolver is given by its address, such as 1.1.1.1 or [::1]:53"
            )
        return written

    @model_validator(mode="after")
    def _tls_needs_resolver(self) -> DnsTarget:
        if self.protocol == "tls" and not self.resolver:
            raise ValueError("protocol tls needs a `resolver`, such as 1.1.1.1")
        return self


Patterns = list[Annotated[str, Field(min_length=1, max_length=1000)]]


class Section(Spec):
    """Patterns for the records of one section, each as `www.example.com.\t300\tIN\tA\t192.0.2.1`."""

    each: Patterns = Field([], max_length=50, description="patterns that every record must match")
    some: Patterns = Field([], max_length=50, description="patterns, one of which must match some record")
    none: Patterns = Field([], max_length=50, description="patterns that no record may match")
    empty: bool = Field(False, description="with no record in the section, `each` holds")

    @field_validator("each", "some", "none")
    @classmethod
    def _compile(cls, value: list[str]) -> list[str]:
        for pattern in value:
            check_pattern(pattern)
        return value


class DnsExpect(Spec):
    model_config = ConfigDict(json_schema_extra=first("values", "degraded_after"))

    values: list[str] = Field(
        [], max_length=100, description="records as in zone files, such as `10 mail.example.com`; in any order"
    )
    match: Literal["all", "any", "exact"] = Field(
        "all", description="all values must be present, any of them, or exactly these"
    )
    rcode: Rcode | list[Rcode] = Field(
        "NOERROR", description="expected response code, or several; NXDOMAIN checks that a name does not exist"
    )
    answer: Section = Field(Section(), description="patterns for the records of the answer")
    authority: Section = Field(Section(), description="patterns for the records of the section authority")
    additional: Section = Field(Section(), description="patterns for the records of the section additional")
    min_answers: int | None = Field(
        None, ge=0, le=1000, description="smallest number of records of the type; default: 1, or 0 with another rcode"
    )
    dnssec: bool = Field(False, description="the resolver must say that it has validated the answer (AD flag)")
    degraded_after: Duration | None = Field(None, description="slower than this is degraded")
    down_after: Duration | None = Field(None, description="slower than this is a failure")

    @field_validator("values", mode="before")
    @classmethod
    def _one_value(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value


def _address(target: DnsTarget) -> str:
    return f"{target.type} {target.name}" + (f" @{target.resolver}" if target.resolver else "")


KIND = CheckKind("dns", "DNS query", DnsTarget, DnsExpect, "name", _address)

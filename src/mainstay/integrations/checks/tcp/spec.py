"""What a monitor may say about a TCP connection."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field, field_validator

from mainstay.integrations.checks.endpoints import check_host, split_endpoint
from mainstay.kernel.duration import Duration
from mainstay.kernel.patterns import check_pattern
from mainstay.kernel.ports import CheckKind
from mainstay.kernel.resource import Spec
from mainstay.kernel.secret import Text, check_references

_GROUP = re.compile(r"\$\{\w+\}")


def _check_line(text: str) -> str:
    check_references(_GROUP.sub("", text))
    return text


# Text with references, and with groups of what was heard.
Line = Annotated[str, AfterValidator(_check_line)]


class Turn(Spec):
    """One turn of a talk, in this order: wait for a line, send one, begin TLS."""

    expect: str | None = Field(
        None, min_length=1, max_length=1000, description="regular expression (RE2); lines are read until one matches"
    )
    send: Line | None = Field(
        None, max_length=10_000, description="line to send; ${1} stands for the first group of `expect`"
    )
    starttls: bool = Field(False, description="then start TLS")

    @field_validator("expect")
    @classmethod
    def _compiles(cls, value: str | None) -> str | None:
        return value if value is None else check_pattern(value)


class TcpTarget(Spec):
    address: str = Field(max_length=300, description="host:port, such as db.example.com:5432 or [2001:db8::1]:22")
    send: Text | None = Field(
        None, max_length=10_000, description='what to send once connected; "\\r\\n" in double quotes'
    )
    talk: list[Turn] = Field([], max_length=50, description="lines to send and to expect, in order")
    tls: bool = Field(False, description="use TLS from the first byte on")
    server_name: str | None = Field(
        None, max_length=253, description="name to request (SNI) and to verify; default: the host"
    )
    verify: bool = Field(True, description="reject certificates that are untrusted, expired or for another name")
    ca: Text | None = Field(
        None, description="certificates to trust (PEM, such as ${file:/path}); default: the system's"
    )

    @field_validator("address")
    @classmethod
    def _endpoint(cls, value: str) -> str:
        split_endpoint(value)
        return value.strip()

    @field_validator("server_name")
    @classmethod
    def _name(cls, value: str | None) -> str | None:
        return value if value is None else check_host(value)


class TcpExpect(Spec):
    contains: str | None = Field(None, min_length=1, max_length=1000, description="text that the target must send")
    regex: str | None = Field(
        None, min_length=1, max_length=1000, description="regular expression (RE2) found in what it sends"
    )
    degraded_after: Duration | None = Field(None, description="slower than this, all phases together, is degraded")
    down_after: Duration | None = Field(None, description="slower than this is a failure")

    @field_validator("regex")
    @classmethod
    def _compiles(cls, value: str | None) -> str | None:
        return value if value is None else check_pattern(value)


KIND = CheckKind("tcp", "TCP connection", TcpTarget, TcpExpect, "address", lambda target: str(target.address))

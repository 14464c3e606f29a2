"""What a monitor may say about an SMTP server."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from mainstay.integrations.checks.endpoint_spec import endpoint_of
from mainstay.integrations.checks.mail_spec import MailExpect, MailTarget
from mainstay.kernel.ports import CheckKind


class SmtpTarget(MailTarget):
    default_port: ClassVar[int | None] = 25

    address: str = Field(
        max_length=300, description="host or host:port; default port 25; 587 and 465 are for submission"
    )
    hello: str | None = Field(
        None,
        max_length=253,
        pattern=r"^[A-Za-z0-9.:\[\]-]+$",
        description="name to send in EHLO; default: its own address, such as [192.0.2.7]",
    )


KIND = CheckKind(
    "smtp", "SMTP server: greeting, TLS, certificate, login", SmtpTarget, MailExpect, "address", endpoint_of
)

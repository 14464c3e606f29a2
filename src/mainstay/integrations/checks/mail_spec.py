"""What monitors of mail servers share: SMTP, IMAP and POP3 differ in their commands only."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from mainstay.integrations.checks.endpoint_spec import CertificateExpect, EndpointTarget, TlsTrust
from mainstay.kernel.secret import Secret, Text


class MailTarget(TlsTrust, EndpointTarget):
    security: Literal["starttls", "tls", "none"] | None = Field(
        None,
        description="starttls: begin plain and demand TLS; tls: from the first byte on; none: neither, a login then "
        "travels readable; default: tls on the port made for it (465, 993, 995), else starttls",
    )
    username: Text | None = Field(None, min_length=1, max_length=500, description="also sign in, with this name")
    password: Secret | None = Field(None, description="reference to the password")

    @model_validator(mode="after")
    def _both(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("signing in needs both `username` and `password`")
        return self


class MailExpect(CertificateExpect):
    greeting: str | None = Field(
        None, min_length=1, max_length=500, description="text expected in the server's first line"
    )

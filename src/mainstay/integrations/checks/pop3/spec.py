"""What a monitor may say about a POP3 server."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from mainstay.integrations.checks.endpoint_spec import endpoint_of
from mainstay.integrations.checks.mail_spec import MailExpect, MailTarget
from mainstay.kernel.ports import CheckKind


class Pop3Target(MailTarget):
    default_port: ClassVar[int | None] = 110

    address: str = Field(max_length=300, description="host or host:port; default port 110, or 995 with implicit TLS")


KIND = CheckKind(
    "pop3", "POP3 server: greeting, TLS, certificate, login", Pop3Target, MailExpect, "address", endpoint_of
)

"""What a monitor may say about an IMAP server."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from mainstay.integrations.checks.endpoint_spec import endpoint_of
from mainstay.integrations.checks.mail_spec import MailExpect, MailTarget
from mainstay.kernel.ports import CheckKind


class ImapTarget(MailTarget):
    default_port: ClassVar[int | None] = 143

    address: str = Field(max_length=300, description="host or host:port; default port 143, or 993 with implicit TLS")


KIND = CheckKind(
    "imap", "IMAP server: greeting, TLS, certificate, login", ImapTarget, MailExpect, "address", endpoint_of
)

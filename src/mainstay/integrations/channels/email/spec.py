"""Mail over SMTP, by the mail server of the settings or one of its own."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from mainstay.integrations.channels.email.address import is_address, is_sender
from mainstay.integrations.idn import ascii_host
from mainstay.kernel.ports import ChannelKind, Deliver
from mainstay.kernel.resource import Spec
from mainstay.kernel.secret import REFERENCE, Secret, Text


def _check_address(text: str) -> str:
    if not REFERENCE.search(text) and not is_address(text):
        raise ValueError(f"`{text[:60]}` is not an e-mail address such as ops@example.com")
    return text


def _check_sender(text: str) -> str:
    if not REFERENCE.search(text) and not is_sender(text):
        raise ValueError(f"`{text[:60]}` is not a sender such as ops@example.com or Mainstay <ops@example.com>")
    return text


def _check_host(host: str) -> str:
    try:
        ascii_host(host)
    except ValueError:
        raise ValueError(f"`{host[:60]}` is not a valid mail server name") from None
    return host


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Address = Annotated[Text, AfterValidator(_check_address), Field(max_length=320)]
Sender = Annotated[Text, AfterValidator(_check_sender), Field(max_length=320)]


class SmtpServer(Spec):
    host: Annotated[str, AfterValidator(_check_host)] = Field(
        max_length=255, pattern=r"^[^\s/@]+$", description="name or address of the mail server"
    )
    port: int | None = Field(None, ge=1, le=65535, description="empty: 25, 587 with starttls, 465 with tls")
    security: Literal["starttls", "tls", "opportunistic", "none"] = Field(
        "starttls",
        description="starttls: begin plain and demand TLS; tls: from the first byte on; opportunistic: TLS where the "
        "server offers it, with any certificate, else plain; none: plain. Without TLS mail and sign-in travel readable",
    )
    user: Text = Field("", max_length=320, description="empty: no sign-in")
    password: Secret | None = Field(None, description="password of the user")

    @model_validator(mode="after")
    def _signs_in_safely(self) -> SmtpServer:
        if bool(self.user) != (self.password is not None):
            raise ValueError("`user` and `password` come together")
        return self


class EmailTarget(Spec):
    to: Annotated[
        list[Address],
        BeforeValidator(_as_list, json_schema_input_type=str | list[str]),
        Field(min_length=1, max_length=50, description="recipients"),
    ]
    sender: Sender | None = Field(
        None, alias="from", description="sender, with a name or without; empty: the setting `mail_from`"
    )
    smtp: SmtpServer | None = Field(None, description="a mail server of its own; empty: the setting `smtp`")


def _load() -> Deliver:
    from mainstay.integrations.channels.email.deliver import deliver

    return deliver


KIND = ChannelKind("email", "mail over SMTP", EmailTarget, _load, shorthand="to")

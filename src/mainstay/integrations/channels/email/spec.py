"""Mail over SMTP, by the mail server of the settings or one of its own."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from mainstay.kernel.ports import ChannelKind, Deliver
from mainstay.kernel.resource import Spec
from mainstay.kernel.secret import REFERENCE, Secret, Text

_ADDRESS = re.compile(r"[^@\s<>,;:\"()\[\]\\]{1,64}@[^@\s<>,;:\"()\\]{1,255}")


def is_address(text: str) -> bool:
    """One plain address, without a name and without anything that could end a header."""
    return bool(_ADDRESS.fullmatch(text)) and text.isprintable()


def _check_address(text: str) -> str:
    if not REFERENCE.search(text) and not is_address(text):
        raise ValueError(f"`{text[:60]}` is not an e-mail address such as ops@example.com")
    return text


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Address = Annotated[Text, AfterValidator(_check_address), Field(max_length=320)]


class SmtpServer(Spec):
    host: str = Field(max_length=255, pattern=r"^[^\s/@]+$", description="name or address of the mail server")
    port: int | None = Field(None, ge=1, le=65535, description="empty: 25, 587 with starttls, 465 with tls")
    security: Literal["none", "starttls", "tls"] = Field("starttls", description="how the connection is encrypted")
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
    sender: Address | None = Field(None, alias="from", description="sender; empty: the setting mail_from")
    smtp: SmtpServer | None = Field(None, description="a mail server of its own; empty: the setting smtp")


def _load() -> Deliver:
    from mainstay.integrations.channels.email.deliver import deliver

    return deliver


KIND = ChannelKind("email", "mail over SMTP", EmailTarget, _load, shorthand="to")

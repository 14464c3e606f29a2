"""A POST of JSON to an address, signed if a secret is given."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, field_validator

from mainstay.integrations.idn import ascii_url
from mainstay.kernel.ports import ChannelKind, Deliver
from mainstay.kernel.resource import Spec
from mainstay.kernel.secret import REFERENCE, Secret, Text

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")  # token, RFC 9110 5.6.2
_OURS = frozenset({"content-type", "content-length", "transfer-encoding", "host", "connection", "idempotency-key"})
_CREDENTIALS = frozenset({"authorization", "proxy-authorization", "cookie", "x-api-key", "api-key"})


def without_password(url: str) -> str:
    """ValueError if an address holds a password in clear."""
    try:
        password = urlsplit(ascii_url(REFERENCE.sub("reference", url))).password
    except ValueError as error:
        raise ValueError(f"this is not a URL: {error}") from None
    if password is not None and not REFERENCE.search(url.partition("@")[0]):
        raise ValueError("a password must be a reference: https://user:${env:NAME}@host/")
    return url


class WebhookTarget(Spec):
    url: Annotated[Text, AfterValidator(without_password)] = Field(
        pattern=r"^(https?://|\$\{)",
        max_length=2000,
        description="where to POST",
        examples=["https://hooks.example.com/alerts"],
    )
    secret: Secret | None = Field(None, description="key of the HMAC-SHA256 signature")
    headers: dict[str, Text] = Field({}, max_length=40, description="additional request headers")

    @field_validator("headers")
    @classmethod
    def _headers_fit(cls, value: dict[str, str]) -> dict[str, str]:
        for name, text in value.items():
            lower = name.lower()
            if not _HEADER_NAME.fullmatch(name):
                raise ValueError(f"`{name[:60]}` is not a valid header name")
            if lower in _OURS or lower.startswith("x-mainstay-"):
                raise ValueError(f"Mainstay itself sets the header {name}")
            if not text.isprintable():
                raise ValueError(f"the header {name} must be one line of text")
            if lower in _CREDENTIALS and not REFERENCE.search(text):
                raise ValueError(f"the header {name} must hold a reference: write ${{env:NAME}} or ${{file:/path}}")
        return value


def _load() -> Deliver:
    from mainstay.integrations.channels.webhook.deliver import deliver

    return deliver


KIND = ChannelKind("webhook", "POST of JSON", WebhookTarget, _load, shorthand="url")

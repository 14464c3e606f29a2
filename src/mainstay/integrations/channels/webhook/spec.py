"""A POST of JSON to an address, signed if a secret is given."""

from __future__ import annotations

from pydantic import Field

from mainstay.kernel.ports import ChannelKind
from mainstay.kernel.resource import Spec
from mainstay.kernel.secret import Secret, Text


class WebhookTarget(Spec):
    url: Text = Field(pattern=r"^(https?://|\$\{)", max_length=2000, description="where to POST")
    secret: Secret | None = Field(None, description="key of the HMAC-SHA256 signature")
    headers: dict[str, Text] = Field({}, max_length=40, description="further request headers")


KIND = ChannelKind("webhook", "POST of JSON", WebhookTarget, shorthand="url")

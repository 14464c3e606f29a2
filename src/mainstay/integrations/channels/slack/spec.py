"""A Slack incoming webhook. Its address is the credential, so it must be a reference."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from mainstay.kernel.asking import sort
from mainstay.kernel.ports import ChannelKind, Deliver
from mainstay.kernel.resource import Spec
from mainstay.kernel.secret import REFERENCE, Text

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def _kept_outside(url: str) -> str:
    """ValueError for an address written out, unless it is a test server on this machine."""
    if REFERENCE.search(url):
        return url
    if urlsplit(url).hostname in _LOOPBACK:
        return url
    raise ValueError(
        "anybody who knows the webhook's address can post; write ${env:SLACK_URL} and keep the address there"
    )


class SlackTarget(Spec):
    url: Annotated[Text, AfterValidator(_kept_outside)] = Field(
        pattern=r"^(https?://|\$\{)",
        max_length=2000,
        description="address of the incoming webhook, as a reference",
        json_schema_extra=sort("secret"),
    )


def _load() -> Deliver:
    from mainstay.integrations.channels.slack.deliver import deliver

    return deliver


KIND = ChannelKind("slack", "Slack message by incoming webhook", SlackTarget, _load, shorthand="url")

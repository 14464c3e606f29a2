"""Everything that Apprise knows, by its URL. The URL mostly holds a token, so it must be a reference."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from mainstay.kernel.asking import sort
from mainstay.kernel.ports import ChannelKind, Deliver
from mainstay.kernel.resource import Spec
from mainstay.kernel.secret import REFERENCE, Text

# Plain servers of one's own. Whatever else Apprise knows carries its credentials in the URL.
KEYLESS = frozenset({"json", "jsons", "xml", "xmls", "form", "forms"})


def _kept_outside(url: str) -> str:
    """ValueError for a URL written out that may hold a credential."""
    if REFERENCE.fullmatch(url):
        return url
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise ValueError(f"this is not a URL: {error}") from None
    if parts.scheme.lower() in KEYLESS and "@" not in parts.netloc and not parts.query and "${" not in url:
        return url
    known = ", ".join(sorted(KEYLESS))
    raise ValueError(
        "Apprise URLs hold credentials: write ${env:CHAT_URL} and keep the whole URL there "
        f"(written out are only {known} without user, password and parameters)"
    )


class AppriseTarget(Spec):
    url: Annotated[Text, AfterValidator(_kept_outside)] = Field(
        max_length=2000, description="an Apprise URL, as a reference", json_schema_extra=sort("secret")
    )


def _load() -> Deliver:
    from mainstay.integrations.channels.apprise.deliver import deliver

    return deliver


KIND = ChannelKind("apprise", "over a hundred services via Apprise", AppriseTarget, _load, shorthand="url")

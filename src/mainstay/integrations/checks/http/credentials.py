"""Which parts of a request carry credentials: these must be references, and are masked in what is shown."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from mainstay.kernel.masking import MASK

# Names of headers and query parameters that hold a credential, as a whole word: X-Auth-Token, api_key, PRIVATE-TOKEN.
_SECRET_WORD = re.compile(
    r"(?:^|[-_])(?:authorization|cookie|token|secret|password|passwd|apikey|api[-_]key|access[-_]key|auth|signature)"
    r"(?:$|[-_])",
    re.IGNORECASE,
)
_QUERY = re.compile(r"[?&]([^=&#]+)=([^&#]+)")
_SCHEME = re.compile(r"^[a-z0-9+.-]+://", re.IGNORECASE)
_AFTER_AUTHORITY = re.compile(r"[/?#]")


def is_secret_name(name: str) -> bool:
    return _SECRET_WORD.search(name) is not None


def userinfo(url: str) -> str:
    """`user:password` of a URL, or the empty string."""
    if "@" not in url:
        return ""
    authority = _SCHEME.sub("", url)
    return _AFTER_AUTHORITY.split(authority, maxsplit=1)[0].rpartition("@")[0]


def without_userinfo(url: str) -> str:
    found = userinfo(url)
    return url.replace(f"{found}@", "", 1) if found else url


def secret_query(url: str) -> list[tuple[str, str]]:
    """Query parameters (name, value) that hold credentials by their name."""
    return [(name, value) for name, value in _QUERY.findall(url) if is_secret_name(name)]


def shown_url(url: str) -> str:
    """The URL as a person may see it: without userinfo, without values of secret parameters."""
    shown = without_userinfo(url)
    for name, value in secret_query(shown):
        shown = shown.replace(f"{name}={value}", f"{name}={MASK}")
    return shown


def origin(url: str) -> tuple[str, str, int]:
    """(scheme, host, port): credentials go to the origin they were written for only (RFC 9110, 15.4)."""
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    return scheme, (parts.hostname or "").lower(), parts.port or (443 if scheme == "https" else 80)

"""Which Host headers are answered. A name that nobody gave us may be a trick with the visitor's DNS (rebinding)."""

from __future__ import annotations

import ipaddress
import re
import socket
from functools import lru_cache
from urllib.parse import urlsplit

from mainstay.kernel.settings import Settings

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9.\-_]+)(?::\d{1,5})?")


def host_of(header: str) -> str | None:
    """The host name or address in a Host header, in lower case and without brackets; None if malformed."""
    found = _HOST.fullmatch(header.strip().lower()) if len(header) <= 260 else None
    return found[1].strip("[]").rstrip(".") if found else None


@lru_cache(maxsize=8)
def allowed_names(settings: Settings) -> frozenset[str]:
    """Names from `url`, `listen` and `hosts`, the machine's own name, and loopback."""
    own = socket.gethostname().lower()
    names = {urlsplit(settings.base_url).hostname or "", settings.listen.rpartition(":")[0].strip("[]"), own}
    names |= {f"{own.partition('.')[0]}.local", *(name.strip().lower() for name in settings.hosts.split(","))}
    return frozenset(names - {""}) | _LOOPBACK


def listens_everywhere(settings: Settings) -> bool:
    return settings.listen.rpartition(":")[0].strip("[]") in ("", "0.0.0.0", "::")  # noqa: S104 # compared, not bound


def host_allowed(header: str, settings: Settings) -> bool:
    """Whether a request with this Host header is answered.

    A literal address cannot be rebound; it is fine wherever the server listens on every address.
    """
    host = host_of(header)
    if host is None:
        return False
    if host in allowed_names(settings):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or listens_everywhere(settings)

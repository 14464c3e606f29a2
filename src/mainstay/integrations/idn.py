"""Names of hosts and URLs outside ASCII, as resolvers, certificates and HTTP know them."""

from __future__ import annotations

import re
from urllib.parse import quote, urlsplit, urlunsplit

_BEYOND = re.compile(r"[^\x21-\x7e]+")


def ascii_host(host: str) -> str:
    """The host with its labels in punycode (IDNA 2008 after UTS 46, non-transitional). ValueError if it is no name."""
    if host.isascii():
        return host
    import idna  # its tables are for the few that need them

    return idna.encode(host, uts46=True).decode()


def ascii_url(url: str) -> str:
    """The URL with its host in punycode and all else outside ASCII percent-encoded, UTF-8 (RFC 3986, 2.5; RFC 7617, 2.1
    for user and password). ValueError if its host or port cannot be one."""
    if url.isascii():
        return url
    parts = urlsplit(url)
    userinfo, at, place = parts.netloc.rpartition("@")
    host = parts.hostname or ""
    port = "" if parts.port is None else f":{parts.port}"
    if not host.isascii():
        place = ascii_host(host) + port
    whole = urlunsplit((parts.scheme, f"{userinfo}{at}{place}", parts.path, parts.query, parts.fragment))
    return _BEYOND.sub(lambda found: quote(found[0]), whole)

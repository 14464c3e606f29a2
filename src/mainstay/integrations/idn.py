"""Names of hosts and URLs outside ASCII, as resolvers, certificates and HTTP know them."""

from __future__ import annotations

import re
from urllib.parse import quote, urlsplit, urlunsplit

_NOT_OF_HOSTS = re.compile(r"[\x00-\x20/@:?#\[\]%\\<>^|\x7f]")  # URL standard, forbidden domain code points
_LABEL = 63  # characters (RFC 1035, 2.3.4)
_BEYOND = re.compile(r"[^\x21-\x7e]+")


def ascii_host(host: str) -> str:
    """The host with its labels in punycode (UTS 46, non-transitional, as browsers). ValueError if it is no name."""
    if host.isascii():
        return host
    import idna  # its tables are for the few that need them

    found = ".".join(_ascii_label(label) for label in idna.uts46_remap(host, std3_rules=False).split("."))
    if _NOT_OF_HOSTS.search(found):  # such as a wide slash, which becomes a slash
        raise ValueError(f"`{host[:80]}` holds characters that are not allowed in a name")
    return found


def _ascii_label(label: str) -> str:
    """Not held against IDNA 2008, which knows neither underscores nor the signs that some names are made of."""
    coded = label if label.isascii() else f"xn--{label[: _LABEL + 1].encode('punycode').decode()}"
    if len(coded) > _LABEL:
        raise ValueError(f"`{label[:40]}` is too long for a label of a host name")
    return coded


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

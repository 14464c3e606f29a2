"""From an address as people type it to a monitor: `https://example.com/health`, `tcp://db:5432`, `example.com`."""

from __future__ import annotations

import re
from collections.abc import Container
from typing import Any
from urllib.parse import urlsplit

from mainstay.kernel.errors import UserError
from mainstay.kernel.resource import NAME_LIMIT

_HOST_PORT = re.compile(r"(?P<host>[\w.-]+|\[[0-9a-fA-F:]+\]):(?P<port>\d{1,5})")
_HOST = re.compile(r"[\w-]+(\.[\w-]+)+|localhost")

_PORTS = {"http": 80, "https": 443}


def monitor_from_address(text: str) -> tuple[str, dict[str, Any]]:
    """(name, document) of a monitor with the defaults that fit; UserError says what an address looks like."""
    address = text.strip()
    scheme, mark, rest = address.partition("://")
    if not mark:
        scheme, rest = "", address
    found = _HOST_PORT.fullmatch(rest)
    if scheme.lower() in ("http", "https"):
        if urlsplit(address).hostname:
            return _name(address), {"http": address}
    elif (not mark or scheme.lower() == "tcp") and found and 0 < int(found["port"]) < 65_536:
        return _name(rest), {"tcp": rest}
    elif not mark and _HOST.fullmatch(address.split("/", 1)[0]):
        return _name(address), {"http": f"https://{address}"}
    raise UserError(
        f"`{text[:80]}` is not an address to watch",
        hint="write a URL such as https://example.com/health, or a host and port such as db.internal:5432",
    )


def same_form(address: str) -> str:
    """One form of all addresses that lead to the same place (RFC 3986, 6.2.2.1 and 6.2.3): the case of scheme and host,
    the port that the scheme implies, an empty path.
    """
    scheme, _, rest = address.partition("://")
    scheme = scheme.lower()
    if scheme not in _PORTS:
        return address.lower()
    place, rest = re.fullmatch(r"([^/?#]*)([^#]*).*", rest, re.DOTALL).groups()  # type: ignore[union-attr] # all fit
    user, mark, host = place.rpartition("@")
    host = host.lower().removesuffix(f":{_PORTS[scheme]}")
    return f"{scheme}://{user}{mark}{host}{rest if rest.startswith('/') else f'/{rest}'}"


def _name(address: str) -> str:
    """A name that says where it points: `example.com-health`, `127.0.0.1-9000`."""
    stripped = re.sub(r"^https?://", "", address, flags=re.IGNORECASE).split("?", 1)[0].split("#", 1)[0]
    stripped = stripped.rpartition("@")[2]
    words = re.sub(r"[^\w.-]+", "-", stripped, flags=re.UNICODE).strip("-._")
    return words[:NAME_LIMIT].rstrip("-._") or "monitor"


def free_name(name: str, taken: Container[str]) -> str:
    """The name itself, or with `-2`, `-3` and so on behind it if it is taken."""
    candidate, number = name, 1
    while candidate in taken:
        number += 1
        candidate = f"{name[: NAME_LIMIT - 5]}-{number}"
    return candidate

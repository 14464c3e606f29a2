"""Mail addresses: which ones there are, and what a mail server must know of them.

A domain outside ASCII goes over the wire in punycode, which every server takes. A local part outside ASCII goes only
to a server that offers SMTPUTF8 (RFC 6531).
"""

from __future__ import annotations

import re
from email.utils import parseaddr

from mainstay.integrations.idn import ascii_host

_ADDRESS = re.compile(r"[^@\s<>,;:\"()\[\]\\]{1,64}@[^@\s<>,;:\"()\\]{1,255}")


def is_address(text: str) -> bool:
    """One plain address, without a name and without anything that could end a header."""
    if not _ADDRESS.fullmatch(text) or not text.isprintable():
        return False
    try:
        return len(wire_address(text).encode()) <= 254  # of a path, RFC 5321 4.5.3.1.3
    except ValueError:
        return False


def wire_address(text: str) -> str:
    """The address as it is given to a mail server. ValueError if its domain can be no name."""
    local, _, domain = text.rpartition("@")
    return f"{local}@{ascii_host(domain)}"


def parted(text: str) -> tuple[str, str]:
    """(name, address) of `ops@example.org` or `Mainstay <ops@example.org>`; the name may be empty."""
    if is_address(text):
        return "", text
    name, address = parseaddr(text)
    return name, address


def is_sender(text: str) -> bool:
    """An address, perhaps with a name in front."""
    return len(text) <= 320 and text.isprintable() and is_address(parted(text)[1])

"""Domain names as registries know them. Pure."""

from __future__ import annotations

import re

from mainstay.integrations.idn import ascii_host

_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9-]{0,61}[a-z0-9])?")


def ascii_name(text: str) -> str:
    """Lower case, IDNA, without a dot at the end. ValueError if it is no name of at least two labels."""
    written = text.strip().rstrip(".").lower()
    try:
        name = ascii_host(written)
    except ValueError:
        name = ""
    labels = name.split(".")
    if len(labels) < 2 or len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError(f"`{text[:80]}` is not a domain name such as example.com")
    return name

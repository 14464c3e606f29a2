"""References to secrets. A spec holds `${env:NAME}`, `${file:PATH}` or `${vault:NAME}`, never the value.

Values are looked up at the moment of use (an order to a prober, a delivery) and live in memory only.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

from pydantic import AfterValidator, Field

from mainstay.kernel.asking import sort

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REFERENCE = re.compile(r"\$\{(env|file|vault):([^${}\s][^${}\n]*)\}")
KNOWN = "${env:NAME}, ${file:/path} or ${vault:NAME}"  # the forms, for messages
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_AUTHORITY_END = re.compile(r"[/?#]")
_SPACE = re.compile(r"\s")
_LOOKALIKE = re.compile(r"\$\{[^}]*\}?")


class SecretMissing(Exception):
    """A reference has no value; the message names the reference and never a value."""


def references(value: Any) -> Iterator[tuple[str, str]]:
    """Every (source, name) in a nested value of dicts, lists and strings."""
    if isinstance(value, str):
        yield from REFERENCE.findall(value)
    elif isinstance(value, dict):
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from references(inner)


def check_password(address: str) -> None:
    """ValueError for an address with a password that is no reference, or with a wrong one."""
    check_references(address)
    if REFERENCE.sub("", address).partition("://")[2].rpartition("@")[0].partition(":")[2]:
        raise ValueError("the password must be a reference: write ${vault:NAME}, and keep the value there")


def resolve(value: Any, lookup: Callable[[str, str], str]) -> Any:
    """The same nested value with lookup(source, name) for each reference, encoded for its place within a URL."""
    if isinstance(value, str):
        return _filled(value, lookup) if "${" in value else value
    if isinstance(value, dict):
        return {key: resolve(inner, lookup) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [resolve(inner, lookup) for inner in value]
    return value


def _filled(text: str, lookup: Callable[[str, str], str]) -> str:
    filled, at, pasted = "", 0, _SPACE.search(REFERENCE.sub("", text)) is not None  # no URL has a space
    for found in REFERENCE.finditer(text):
        filled += text[at : found.start()]
        at = found.end()
        value = lookup(found[1], found[2])
        safe = None if pasted else _safe(filled, REFERENCE.sub("", text[at:]))
        filled += value if safe is None else quote(value, safe=safe, errors="surrogatepass")
    return filled + text[at:]


def _safe(before: str, after: str) -> str | None:
    """What of a value stays as it is between these parts of a URL (RFC 3986); None: all of it, also where this is none.

    A reference that begins the text may hold any part of a URL, and one in the place of the host may hold its port.
    """
    if not _SCHEME.match(before):
        return None
    begun = before.partition("://")[2]
    if "#" in begun:
        return ""
    if "?" in begun:  # a value, or all of `name=value&name=value`
        return "" if "=" in begun.partition("?")[2].rpartition("&")[2] else "=&"
    if "/" in begun:
        return ""
    user = _AUTHORITY_END.split(after, maxsplit=1)[0].rpartition("@")
    if not user[1]:
        return None
    return "" if ":" in begun + user[0] else ":"  # alone it may hold the user and the password


def check_references(text: str) -> str:
    """ValueError for a `${...}` that is none of the known forms."""
    for found in _LOOKALIKE.findall(text):
        if not REFERENCE.fullmatch(found):
            raise ValueError(f"`{found[:40]}` is not a reference; write {KNOWN}")
    return text


def _must_be_reference(text: str) -> str:
    check_references(text)
    if not REFERENCE.search(text):
        raise ValueError(f"a secret must be a reference: write {KNOWN}, and keep the value there")
    return text


# A field whose value must come from outside of the file.
Secret = Annotated[str, AfterValidator(_must_be_reference), Field(max_length=2000, json_schema_extra=sort("secret"))]
# A field that may hold references beside plain text.
Text = Annotated[str, AfterValidator(check_references), Field(max_length=100_000)]

"""References to secrets. A spec holds `${env:NAME}`, `${file:PATH}` or `${vault:NAME}`, never the value.

Values are looked up at the moment of use (an order to a prober, a delivery) and live in memory only.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, Field

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REFERENCE = re.compile(r"\$\{(env|file|vault):([^${}\s][^${}\n]*)\}")
KNOWN = "${env:NAME}, ${file:/path} or ${vault:NAME}"  # the forms, for messages
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


def resolve(value: Any, lookup: Callable[[str, str], str]) -> Any:
    """The same nested value with each reference replaced by lookup(source, name)."""
    if isinstance(value, str):
        return REFERENCE.sub(lambda found: lookup(found[1], found[2]), value) if "${" in value else value
    if isinstance(value, dict):
        return {key: resolve(inner, lookup) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [resolve(inner, lookup) for inner in value]
    return value


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
Secret = Annotated[str, AfterValidator(_must_be_reference), Field(max_length=2000)]
# A field that may hold references beside plain text.
Text = Annotated[str, AfterValidator(check_references), Field(max_length=100_000)]

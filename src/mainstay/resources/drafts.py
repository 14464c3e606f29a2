"""A draft of one resource: a text in YAML that may hold more than it (a list whose order matters, comments).

The tabs of the editor hold the same draft. The form shows one resource of it and changes that alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from mainstay.frames.web.forms.settling import settle
from mainstay.frames.web.forms.shape import ABSENT, Variant, variants
from mainstay.frames.web.forms.state import State, fill
from mainstay.frames.web.forms.weave import weave
from mainstay.kernel.resource import KINDS, Kind
from mainstay.store.resources.files import read_body

FAVOURED = {"monitor": "http", "channel": "email"}  # the sort that a form begins with
NAMELESS = "new"  # what stands for a name that is still missing while the rest is looked at


class NotOne(Exception):
    """The text is not one resource that a form could show; the message says why."""


@dataclass(frozen=True, slots=True)
class Draft:
    """at: the place in a list whose order matters; one behind the last for what is new. data: what the text says."""

    kind: Kind
    name: str = ""
    document: dict[str, Any] = field(default_factory=dict)
    text: str = ""
    data: dict[str, Any] = field(default_factory=dict)
    at: int = 0

    @property
    def entries(self) -> list[Any]:
        """Of a kind whose order matters: all of them."""
        return self.data.get(self.kind.plural) or []

    @property
    def variant(self) -> Variant:
        """The sort that the document is of; NotOne where it is of several."""
        known = variants(self.kind.name)
        present = [one for one in known if one.key in self.document]
        if len(present) > 1:
            raise NotOne(f"it has both `{present[0].key}` and `{present[1].key}`")
        return present[0] if present else sort_named(self.kind, FAVOURED.get(self.kind.name, ""))

    @property
    def prefix(self) -> str:
        """Where its mistakes stand, as diagnostics say it."""
        return f"{self.kind.plural}.{self.at}" if self.kind.listed else ".".join(self.kind.path(self.name))

    def filled(self, variant: Variant) -> State:
        return fill(variant.group, self.document)

    def changed(self, name: str, variant: Variant, state: State, at: int) -> Draft:
        """The draft with what the form holds."""
        base = self.document if variant.key in ("", self.variant.key) else self._shared(variant)
        # The key that says the sort stands there also while nothing is filled in: what is missing is told of it.
        document = settle(variant.group, state, base if not variant.key or variant.key in base else ABSENT)
        document = document if isinstance(document, dict) else {}
        if not self.kind.listed:
            data: dict[str, Any] = {self.kind.plural: document if self.kind.alone else {name: document}}
            return replace(self, name=name, document=document, text=weave(self.text, self.data, data), data=data)
        entries = list(self.entries)
        if self.at < len(entries):
            del entries[self.at]
        at = min(at, len(entries))
        entries.insert(at, {"name": name, **document} if name else document)
        data = {self.kind.plural: entries}
        text = weave(self.text, self.data, data)
        return replace(self, name=name, document=document, text=text, data=data, at=at)

    def _shared(self, variant: Variant) -> dict[str, Any]:
        """What another sort has as well."""
        keys = {one.key for one in variant.group.fields} - {"expect"}
        return {key: value for key, value in self.document.items() if key in keys}


def sort_named(kind: Kind, key: str) -> Variant:
    """The sort of a kind; the first one if there is none of that name."""
    known = variants(kind.name)
    return next((one for one in known if one.key == key), known[0])


def opened(text: str, kind: Kind, at: int = 0) -> Draft:
    """The draft that a text is. NotOne, with the reason, if it is no single resource of a known kind."""
    reading = read_body(text.encode("utf-8", "surrogatepass"), "editor")
    if reading.diagnostics.errors:
        first = reading.diagnostics.errors[0]
        raise NotOne(f"line {first.place.line}: {first.message}")
    if not reading.documents:
        return Draft(kind, text=text)
    data = reading.documents[0].data
    if len(reading.documents) > 1 or not isinstance(data, dict) or len(data) != 1:
        raise NotOne("the form shows a single resource, and the text declares more than one, or none")
    (plural, section), *_ = data.items()
    named = KINDS.by_plural(plural)
    if named is None:
        raise NotOne(f"`{str(plural)[:60]}` is not a kind of resource")
    draft = _of_list(named, section, at) if named.listed else _of_mapping(named, section)
    if not isinstance(draft.document, dict):
        raise NotOne(f"the {named.name} is not a mapping of keys and values")
    return replace(draft, text=text, data=data)


def _of_mapping(kind: Kind, section: Any) -> Draft:
    if kind.alone:
        return Draft(kind, kind.name, {} if section is None else section)
    if not isinstance(section, dict) or len(section) != 1:
        raise NotOne(f"the form shows one {kind.name}, and the text declares more, or none")
    (name, document), *_ = section.items()
    return Draft(kind, str(name), {} if document is None else document)


def _of_list(kind: Kind, section: Any, at: int) -> Draft:
    if not isinstance(section, list) or not section:
        raise NotOne(f"the text declares no {kind.name}")
    if at == len(section):
        return Draft(kind, at=at)
    entry = section[at if at < len(section) else -1]
    if not isinstance(entry, dict):
        raise NotOne(f"the {kind.name} is not a mapping of keys and values")
    document = {key: value for key, value in entry.items() if key != "name"}
    return Draft(kind, str(entry.get("name", "")), document, at=min(at, len(section) - 1))

"""The Mainstay file that is being made: names, references to secrets, routes, and a check of all of it at the end."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

from pydantic import ValidationError

from mainstay.foreign.importing.report import Report
from mainstay.foreign.importing.source import Node
from mainstay.kernel.diagnostics import Diagnostics
from mainstay.kernel.errors import Broken
from mainstay.kernel.resource import KINDS, NAME_LIMIT, check_name
from mainstay.kernel.secret import REFERENCE, references
from mainstay.store.resources.declarations import declared
from mainstay.store.resources.documents import Document, Path
from mainstay.store.resources.mistakes import explain
from mainstay.store.resources.references import check_references

_ATTEMPTS = 40
_ORDER = ("title", "every", "cron", "timezone", "grace", "timeout", "expect", "confirm", "recover", "alert_on")
# Whatever the checks take for the name of a credential is one here too, and more.
_SECRET_NAME = re.compile(r"auth|cookie|token|secret|pass|pwd|key|signature|session|credential|bearer", re.IGNORECASE)
_SECRET_TEXT = re.compile(
    r"[\w.-]*(?:pass(?:word|wd|phrase)?|secret|token|api[-_]?key|authorization)[\w.-]*[\"']?\s*[:=]", re.IGNORECASE
)


@dataclass(slots=True)
class _Entry:
    kind: str
    name: str
    document: dict[str, Any]
    node: Node
    is_checked: bool = False


@dataclass(slots=True)
class Draft:
    """`prefix` begins the names of secrets; `kinds` are the kinds of checks that this install has."""

    report: Report
    prefix: str
    kinds: frozenset[str]
    entries: list[_Entry] = field(default_factory=list)
    templates: dict[str, dict[str, Any]] = field(default_factory=dict)  # kept under a key that is not read
    _names: dict[str, set[str]] = field(default_factory=dict)
    _secrets: dict[str, str] = field(default_factory=dict)  # value -> variable
    _told: dict[tuple[str, str], list[str]] = field(default_factory=dict)  # resource -> channels

    # names

    def name(self, kind: str, *wanted: str) -> str:
        """The first of these names, made valid, that is free; else the last with a number."""
        taken = self._names.setdefault(kind, set())
        candidates = [found for text in wanted if (found := fitting_name(text))] or [kind.replace("_", "-")]
        chosen = next((one for one in candidates if one not in taken), "")
        number = 1
        while not chosen:
            number += 1
            candidate = f"{candidates[-1][: NAME_LIMIT - 6]}-{number}"
            chosen = candidate if candidate not in taken else ""
        taken.add(chosen)
        return chosen

    def add(self, kind: str, name: str, document: dict[str, Any], node: Node) -> str:
        """Declare it; the path to it in the file."""
        self.entries.append(_Entry(kind, name, document, node))
        return f"{KINDS[kind].plural}.{name}"

    def has_name(self, kind: str, name: str) -> bool:
        return name in self._names.get(kind, ())

    # secrets

    def secret(self, node: Node, what: str, how: str = "the value as it stands there", value: str = "") -> str:
        """A reference in place of a secret; the report lists the variable and where its value stands."""
        text = value or str(node.value)
        if (known := REFERENCE.fullmatch(text)) is not None:  # the source takes it from its environment too
            self.report.needs(known[2], "the variable of this name that the other tool reads", node.path)
            return text
        name = self._secrets.get(text)
        if name is None:
            plain = unicodedata.normalize("NFKD", what).encode("ascii", "ignore").decode()
            wanted = re.sub(r"[^A-Za-z0-9]+", "_", f"{self.prefix}_{plain}").strip("_").upper()[:80]
            name, number = wanted, 1
            while name in self._secrets.values():
                number += 1
                name = f"{wanted}_{number}"
            self._secrets[text] = name
        self.report.needs(name, how, node.path)
        return f"${{env:{name}}}"

    # whom to tell

    def tell(self, kind: str, name: str, channels: Iterable[str]) -> None:
        """Alerts of this monitor or heartbeat go to these channels."""
        known = self._told.setdefault((kind, name), [])
        known += [channel for channel in channels if channel not in known]

    def _route(self) -> None:
        """One route for each channel; a label marks whose alerts go there, unless all of them do."""
        alive = {(entry.kind, entry.name): entry for entry in self.entries}
        heard = [key for key in alive if key[0] in ("monitor", "heartbeat")]
        channels = [name for kind, name in alive if kind == "channel"]
        taken: set[str] = set()
        for channel in channels:
            users = [key for key in heard if channel in self._told.get(key, ())]
            if not users:
                continue
            route: dict[str, Any] = {"name": f"to-{channel}"[:NAME_LIMIT].rstrip("-._"), "to": [channel]}
            if len(users) < len(heard):
                label = _label(channel, taken)
                route["match"] = [f'{label}="yes"']
                for key in users:
                    alive[key].document.setdefault("labels", {})[label] = "yes"
                    alive[key].is_checked = False
            self.entries.append(_Entry("route", route["name"], route, alive["channel", channel].node))

    # the end

    def finish(self) -> dict[str, Any]:
        """The file as data. What a field makes invalid is left out, and the report says so."""
        self._keep(("monitor", "heartbeat", "channel"))
        self._route()
        self._keep(("monitor", "heartbeat"))  # labels were added
        self._cut_references()
        self._keep(("monitor",))  # a group may have lost all its members
        self._keep(("window", "status_page"))
        document = self._written()
        self._prove(document)
        self.report.locate(document)
        used = {name for _, name in references(document)}
        for name in [name for name in self.report.secrets if name not in used]:
            del self.report.secrets[name]  # what needed it could not be kept
        kept = {kind.plural: len(document.get(kind.plural, ())) for kind in KINDS}
        self.report.counts = {plural: count for plural, count in kept.items() if count}
        return document

    def _keep(self, kinds: tuple[str, ...]) -> None:
        self.entries = [
            entry for entry in self.entries if entry.kind not in kinds or entry.is_checked or self._fit(entry)
        ]

    def _fit(self, entry: _Entry) -> bool:
        """Leave out what is invalid; False if nothing is left that makes sense."""
        kind = KINDS[entry.kind]
        tried: set[Path] = set()
        first = ""
        for _ in range(_ATTEMPTS):
            try:
                kind.validate(entry.document)
            except ValidationError as error:
                mistakes = explain(error, kind.name, deepcopy(entry.document))
            else:
                entry.is_checked = True
                return True
            first = first or mistakes[0].message
            for mistake in mistakes:
                path = tuple(takewhile(lambda step: isinstance(step, str), mistake.path))
                while path and (path in tried or not _reaches(entry.document, path)):
                    path = path[:-1]
                if not path:
                    break
                tried.add(path)
                _remove(entry.document, path)
                field = ".".join(str(step) for step in path)
                self.report.overrule(f"{kind.plural}.{entry.name}", field, mistake.message)
            else:
                continue
            break
        self.report.drop(entry.node.path, f"it cannot become a {entry.kind.replace('_', ' ')}: {first}")
        return False

    def _cut_references(self) -> None:
        alive = {(entry.kind, entry.name) for entry in self.entries}
        for entry in self.entries:
            if entry.kind == "monitor" and "parents" in entry.document:
                kept = [name for name in entry.document["parents"] if ("monitor", name) in alive]
                entry.document["parents"] = kept
            group = entry.document.get("group") if entry.kind == "monitor" else None
            if isinstance(group, dict):
                entry.is_checked = False
                group["members"] = [name for name in group["members"] if ("monitor", name) in alive]
            for component in entry.document.get("components", ()) if entry.kind == "status_page" else ():
                for plural, kind in (("monitors", "monitor"), ("heartbeats", "heartbeat")):
                    component[plural] = [name for name in component.get(plural, ()) if (kind, name) in alive]
                    if not component[plural]:
                        del component[plural]

    def _written(self) -> dict[str, Any]:
        document: dict[str, Any] = {"x-modules": self.templates} if self.templates else {}
        for kind in KINDS:
            found = [entry for entry in self.entries if entry.kind == kind.name]
            if found and kind.listed:
                document[kind.plural] = [entry.document for entry in found]
            elif found:
                document[kind.plural] = {entry.name: self._ordered(entry.document) for entry in found}
        return document

    def _ordered(self, document: dict[str, Any]) -> dict[str, Any]:
        """What is checked first, then how often, and so on, as people write it."""
        order = (*self.kinds, *_ORDER)
        known = [key for key in order if key in document]
        return {key: document[key] for key in (*known, *(key for key in document if key not in known))}

    def _prove(self, document: dict[str, Any]) -> None:
        """What is written can be planned, or we are at fault and say so."""
        diagnostics = Diagnostics()
        found = declared([Document("import", document)], "file", diagnostics)
        check_references({own.key: own for own in found}, set(), diagnostics)
        if diagnostics.errors:
            raise Broken(f"the import made a file that cannot be applied: {diagnostics.errors[0]}")


def _label(channel: str, taken: set[str]) -> str:
    plain = re.sub(r"[^a-zA-Z0-9_]+", "_", unicodedata.normalize("NFKD", channel).encode("ascii", "ignore").decode())
    label, number = f"notify_{plain}"[:55], 1
    while label in taken:
        number += 1
        label = f"notify_{plain}"[:50] + f"_{number}"
    taken.add(label)
    return label


def _reaches(document: Any, path: Path) -> bool:
    for step in path:
        if not isinstance(document, dict) or step not in document:
            return False
        document = document[step]
    return True


def _remove(document: dict[str, Any], path: Path) -> None:
    for step in path[:-1]:
        document = document[str(step)]
    del document[str(path[-1])]


def fitting_name(text: str) -> str:
    """The nearest name that Mainstay takes; empty if nothing of the text can be kept."""
    composed = unicodedata.normalize("NFC", text)
    kept = "".join(sign if sign.isalnum() or sign in "._-" or _is_mark(sign) else "-" for sign in composed)
    name = re.sub(r"-{2,}", "-", kept).strip("-._")[:NAME_LIMIT].strip("-._")
    while name and _is_mark(name[0]):
        name = name[1:]
    try:
        return check_name(name)
    except ValueError:
        return ""


def _is_mark(sign: str) -> bool:
    return unicodedata.category(sign)[0] == "M"


def label_name(text: str) -> str:
    """The nearest name of a label; empty if there is none."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    name = re.sub(r"[^a-zA-Z0-9_]+", "_", plain).strip("_")[:60]
    return f"_{name}"[:60] if name[:1].isdigit() else name


def is_secret_name(name: str) -> bool:
    return _SECRET_NAME.search(name) is not None


def holds_secret(text: str) -> bool:
    """Whether a text, such as the body of a request, seems to give a password or a token."""
    return _SECRET_TEXT.search(text) is not None

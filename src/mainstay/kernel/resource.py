"""What people declare: `kind / name / spec`.

A Kind says how one sort of resource is written in a file, checked and referred to. Capabilities
define their kinds; the runtime registers them in KINDS; the store knows nothing of any of them.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict

from mainstay.kernel.diagnostics import Severity
from mainstay.kernel.patterns import stored

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

# Who keeps a resource: a file that is applied, the page, the API, targets given to `up`, a ping with create=1.
Manager = Literal["file", "page", "api", "command", "ping"]

NAME_LIMIT = 100
# Letters and digits of any script, and . _ - between them; spaces are refused: names stand in URLs and labels.
_NAME = re.compile(r"[^\W_](?:[\w.-]*[^\W_])?", re.UNICODE)


class Spec(BaseModel):
    """Root of all specs: unknown keys are mistakes, values are never mutated."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, validate_default=False)

    def to_document(self) -> dict[str, Any]:
        """The shortest JSON document that validates to the same spec (defaults left out)."""
        return self.model_dump(mode="json", by_alias=True, exclude_defaults=True)


@dataclass(frozen=True, slots=True)
class Reference:
    """A field of a spec that names another resource, such as ("monitor", "gateway", ("parents", 0))."""

    kind: str
    name: str
    path: tuple[str | int, ...] = ()


def _no_references(_spec: Any) -> Iterable[Reference]:
    return ()


def _no_requirements(_spec: Any) -> Iterable[tuple[str, str]]:
    return ()


def _no_scopes(_spec: Any) -> frozenset[str]:
    return frozenset()


@dataclass(frozen=True, slots=True)
class Complaint:
    """What is wrong with a declaration as a whole, where its spec alone cannot tell: its name, for example."""

    message: str
    hint: str = ""
    path: tuple[str | int, ...] = ()
    severity: Severity = "error"


@dataclass(frozen=True, slots=True)
class Fact:
    """What a person asks of a declared resource, and the answer; `links` are (text, address) pairs."""

    question: str
    answer: str = ""
    links: Sequence[tuple[str, str]] = ()


def _no_words(_document: Mapping[str, Any]) -> str:
    return ""


def _nothing_more(_spec: Any) -> str:
    return ""


def _no_complaints(_name: str, _spec: Any) -> Iterable[Complaint]:
    return ()


@dataclass(frozen=True, slots=True)
class Kind:
    """One sort of resource.

    validate: a plain document (as YAML gives it) -> Spec; raises pydantic.ValidationError.
    schema: JSON Schema of one such document.
    references: the resources that a spec names; the store checks that they exist and refuses cycles
    within one kind.
    listed: written as a list whose order matters (routes); names default to `<name>-<position>`.
    alone: there is one of it, named like its kind; a file has its spec below the plural, without a name.
    requires: (module, extra) pairs that a spec needs beyond a plain install.
    check: mistakes of a spec under its name, and what its plan warns of.
    grants: the scopes that a spec hands out to people or programs. Such a kind is changed by those only who keep
    the people and hold what they hand out; a page asks them first to show once more who they are.
    guarded: fields whose value is a permission itself, such as an address to report in at: hidden from mere readers.
    made: uids -> values that were made for fields left out. An export has them, and repeating one is no difference.
    needs: the scopes that declaring a spec takes besides `resources:write`; a page asks likewise. Taking one away that
    is `alone` needs them too: it sets everything back.
    example: a first text for the editor: short, true, and with the keys that people ask for next.
    in_words: one readable line from a declared document alone. page: its own page, with `{}` for its name.
    facts: `package.module:function`, called with a resource and all that is declared, gives each `Fact` about it.
    said: `package.module:function`, called with a uid and the evidence of its trouble, gives `kernel.subject.Said`.
    labelled: alerts of it carry its labels, so that matchers of routes and windows may fit it.
    afterwards: spec -> a sentence on what happens next, once it is declared.
    """

    name: str  # `monitor`
    plural: str  # `monitors`, the key in a file
    summary: str
    validate: Callable[[Any], Spec]
    schema: Callable[[], dict[str, Any]]
    references: Callable[[Any], Iterable[Reference]] = _no_references
    listed: bool = False
    alone: bool = False
    requires: Callable[[Any], Iterable[tuple[str, str]]] = _no_requirements
    check: Callable[[str, Any], Iterable[Complaint]] = _no_complaints
    grants: Callable[[Any], frozenset[str]] | None = None
    needs: Callable[[Any], frozenset[str]] = _no_scopes
    guarded: tuple[str, ...] = ()
    made: Callable[[list[str]], Mapping[str, dict[str, Any]]] | None = None
    example: str = ""
    in_words: Callable[[Mapping[str, Any]], str] = _no_words
    page: str = ""
    facts: str = ""
    said: str = ""
    labelled: bool = False
    afterwards: Callable[[Any], str] = _nothing_more

    def path(self, name: str) -> tuple[str, ...]:
        """Where one of this name stands in a file."""
        return (self.plural,) if self.alone else (self.plural, name)

    def called(self, name: str) -> str:
        """In words: `status page acme`, and `settings`, of which there is one."""
        words = self.name.replace("_", " ")
        return words if self.alone else f"{words} {name}"


@dataclass(slots=True)
class Kinds:
    """The registry, filled once at start by the runtime, in the order files are exported in."""

    by_name: dict[str, Kind] = field(default_factory=dict)

    def register(self, kind: Kind) -> None:
        self.by_name[kind.name] = kind

    def __getitem__(self, name: str) -> Kind:
        return self.by_name[name]

    def __contains__(self, name: str) -> bool:
        return name in self.by_name

    def __iter__(self) -> Iterator[Kind]:
        return iter(self.by_name.values())

    def of(self, subject: str) -> Kind | None:
        """The kind of a subject such as `monitor/api`; None if it is nothing that people declare."""
        return self.by_name.get(subject.partition("/")[0])

    def page_of(self, subject: str) -> str:
        """The page of a subject's own; empty if it has none."""
        kind, name = self.of(subject), subject.partition("/")[2]
        return kind.page.format(quote(name)) if kind is not None and name else ""

    def by_plural(self, plural: str) -> Kind | None:
        return next((kind for kind in self if kind.plural == plural), None)


KINDS = Kinds()


@dataclass(frozen=True, slots=True)
class Resource:
    """A stored resource. `uid` never changes while it exists and keys state and telemetry."""

    uid: str
    kind: str
    name: str
    document: dict[str, Any]  # the stored spec, secrets as references
    manager: Manager
    source: str  # file path, page user, token name
    revision: int  # the revision that wrote it last
    position: int = 0  # order within a listed kind

    @property
    def spec(self) -> Any:
        """The typed spec (validated anew on each call; keep it if you need it often)."""
        with stored():
            return KINDS[self.kind].validate(self.document)

    @property
    def subject(self) -> str:
        return f"{self.kind}/{self.name}"


def check_name(name: object) -> str:
    """The name if it may be one; ValueError with the rule otherwise."""
    if not isinstance(name, str) or not name:
        raise ValueError("a name is text such as `api` or `nightly-report`; put quotes around numbers and dates")
    if len(name) > NAME_LIMIT:
        raise ValueError(f"a name has at most {NAME_LIMIT} characters, this one has {len(name)}")
    if not unicodedata.is_normalized("NFC", name):
        raise ValueError("a name is written in composed Unicode (NFC), so that two names that look alike are the same")
    # Marks belong to the letter before them (Hindi, Thai); `\w` does not count them.
    if not _NAME.fullmatch("".join("x" if unicodedata.category(sign)[0] == "M" else sign for sign in name)):
        raise ValueError("a name holds letters and digits, and `. _ -` between them")
    return name

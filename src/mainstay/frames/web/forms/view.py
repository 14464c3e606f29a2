"""A form as a template draws it: every field with its name, its state, its mistakes, and what there is to choose."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from mainstay.frames.web.forms.settling import is_blank, without_blanks
from mainstay.frames.web.forms.shape import Choice, Field
from mainstay.frames.web.forms.state import ON, PICK, State, fill

LIMIT = 900  # inputs of one form; a browser sends no more than 1000 of them
_BOXES = 24  # things up to which all are shown to be ticked
_OFFERED = 500  # names that are offered while one types

Named = tuple[str, str]  # a name, and what it is
Names = Callable[[str], list[Named]]  # of every resource of a kind
Mistakes = dict[str, list[str]]  # dotted path within the document -> what is wrong there


@dataclass(slots=True)
class Node:
    """One field, or one entry of a list. `path` is where its value stands in the document."""

    asks: Field
    name: str
    path: str
    state: State
    mistakes: list[str] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    more: list[Node] = field(default_factory=list)
    choices: list[tuple[Choice, bool, list[Node]]] = field(default_factory=list)
    names: list[Named] = field(default_factory=list)
    key: str = ""  # of an entry of a map
    is_next: bool = False  # the empty row behind the others
    is_fresh: bool = False  # the row that was just asked for

    @property
    def id(self) -> str:
        return "f-" + self.name.replace(".", "-").replace("+", "")

    @property
    def within(self) -> list[Node]:
        """What stands in it, in the order of the form."""
        return [*(node for _, _, nodes in self.choices for node in nodes), *self.nodes, *self.more]

    @property
    def is_open(self) -> bool:
        """Whether what is folded must be seen: it was filled in, or holds a mistake."""
        return any(node.is_wrong or node.asks.required or _differs(node) for node in self.more)

    @property
    def is_wrong(self) -> bool:
        return bool(self.mistakes) or any(node.is_wrong for node in self.within)

    @property
    def runs(self) -> list[list[Node]]:
        """What is seen at once, in sections: groups stand alone, what is between them stands together by heading."""
        found: list[list[Node]] = []
        for node in self.nodes:
            alone = node.asks.widget == "group" and not node.is_folded
            last = found[-1][-1].asks if found else None
            if alone or last is None or last.widget == "group" or last.section != node.asks.section:
                found.append([])
            found[-1].append(node)
        return [run for run in found if any(node.within or node.asks.widget != "group" for node in run)]

    @property
    def has_lines(self) -> bool:
        return "\n" in self.state

    @property
    def is_on(self) -> bool:
        return bool(self.state[ON])

    @property
    def is_folded(self) -> bool:
        """A group with nothing in it that people mostly fill in."""
        inside = self.choices or self.nodes
        return not inside and not self.asks.optional

    @property
    def options(self) -> list[tuple[str, str, bool]]:
        """(as submitted, what it reads like, whether it is chosen); the last one is known to none else."""
        chosen = self.state if isinstance(self.state, list) else [self.state]
        known = [(option.id, option.label, option.id in chosen) for option in self.asks.options]
        bare = self.asks.widget == "choice" and self.asks.default is None and not any(one[0] == "" for one in known)
        return [("", "not set", self.state == ""), *known] if bare else known

    @property
    def boxes(self) -> list[tuple[str, str, bool]]:
        """Names to tick: the chosen ones first, in their order."""
        about = dict(self.names)
        chosen = [text for text in self.state if text]
        rest = [name for name in about if name not in chosen]
        return [(name, about.get(name, ""), name in chosen) for name in [*chosen, *rest]]

    @property
    def has_boxes(self) -> bool:
        entry = self.asks.entry
        return entry is not None and entry.widget == "reference" and len(self.names) <= _BOXES

    @property
    def picks(self) -> list[str]:
        """Names to choose one of; what was chosen is there also if it is gone."""
        known = [name for name, _ in self.names]
        return known if self.state in ("", *known) else [self.state, *known]

    @property
    def offered(self) -> list[Named]:
        return self.names[:_OFFERED]


def _differs(node: Node) -> bool:
    return bool(without_blanks(node.asks, node.state) != fill(node.asks))


def view(asks: Field, state: State, name: str, mistakes: Mistakes, names: Names) -> Node:
    """The form of one document. What a field could show is taken out of the mistakes."""
    return _filled_in(Node(asks, name, "", state), mistakes, names)


def _filled_in(node: Node, mistakes: Mistakes, names: Names) -> Node:
    asks = node.asks
    if asks.refers:
        node.names = names(asks.refers)
    if asks.widget == "group":
        _group_nodes(node, mistakes, names)
    elif asks.entry is not None and not node.has_boxes:
        node.nodes = list(_entries(node, asks.entry, mistakes, names))
    node.mistakes = _own(node, mistakes)
    if asks.shorthand and node.mistakes:
        bare = next(inner for inner in (*node.nodes, *node.more) if inner.asks.key == asks.shorthand)
        bare.mistakes, node.mistakes = [*bare.mistakes, *node.mistakes], []
    return node


def _group_nodes(node: Node, mistakes: Mistakes, names: Names) -> None:
    asks, state = node.asks, node.state

    def inner(one: Field) -> Node:
        inside = Node(one, _dotted(node.name, one.key), _dotted(node.path, one.key), state[one.key])
        found = _filled_in(inside, mistakes, names)
        if f"`{one.key}` is missing" in mistakes.get(node.path, ()) and not found.mistakes:
            mistakes[node.path].remove(f"`{one.key}` is missing")
            found.mistakes = ["This is needed"]
        return found

    chosen = {key for choice in asks.either for key in choice.keys}
    for one in asks.fields:
        if one.key not in chosen:
            (node.nodes if one.key in asks.first else node.more).append(inner(one))
    for at, choice in enumerate(asks.either):
        node.choices.append((choice, str(at) == state[PICK], [inner(asks.field(key)) for key in choice.keys]))


def _entries(node: Node, entry: Field, mistakes: Mistakes, names: Names) -> Iterator[Node]:
    """Entries, and for what is one line an empty one to write the next in. Empty ones have no place in the document."""
    at = 0
    pairs = node.state if node.asks.widget == "map" else [["", inner] for inner in node.state]
    blank = entry.widget != "group" and not node.has_boxes and not (pairs and _empty(entry, pairs[-1]))
    for row, (key, inner) in enumerate([*pairs, *([["", fill(entry)]] if blank else [])]):
        name = f"{node.name}.{row}"
        step = key if node.asks.widget == "map" else str(at)
        value = f"{name}.value" if node.asks.widget == "map" else name
        found = Node(entry, value, _dotted(node.path, step), inner)
        _filled_in(found, {} if _empty(entry, [key, inner]) else mistakes, names)
        found.key, found.is_next = key, row == len(pairs) or (row == len(pairs) - 1 and _empty(entry, [key, inner]))
        at += 0 if _empty(entry, [key, inner]) else 1
        yield found


def _empty(entry: Field, pair: list[Any]) -> bool:
    return not pair[0] and is_blank(entry, pair[1])


def _dotted(path: str, step: str) -> str:
    return f"{path}.{step}" if path else step


def _own(node: Node, mistakes: Mistakes) -> list[str]:
    """What is wrong here: at this very path, and for what is no group also below it. Each is told once."""
    below = node.asks.widget != "group" and (node.asks.entry is None or node.has_boxes)
    mine = [path for path in mistakes if path == node.path or (below and path.startswith(f"{node.path}."))]
    return [text for path in mine for text in mistakes.pop(path)]


def mark_fresh(node: Node, name: str) -> None:
    """The last row of the list of this name is the one to type in next."""
    for inner in node.within:
        if node.name == name:
            inner.is_fresh = inner is node.nodes[-1]
        mark_fresh(inner, name)


def count(node: Node) -> int:
    """Inputs that the form has."""
    return sum(map(count, node.within)) + (2 if node.asks.widget in ("group", "map", "matcher", "moment") else 1)


def wrong(node: Node) -> Iterator[tuple[Node, str]]:
    """Every field with a mistake, in the order of the form."""
    for text in node.mistakes:
        yield node, text
    for inner in node.within:
        yield from wrong(inner)

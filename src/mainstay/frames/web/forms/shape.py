"""What a form asks for: a tree of fields, made from the JSON Schema of a kind and from nothing else."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal

from mainstay.frames.web.forms.words import label_of, option_label
from mainstay.kernel.asking import EITHER, FIRST, HELP, REFERS, SECTION, SHORTHAND, SORT
from mainstay.kernel.resource import KINDS
from mainstay.kernel.timespan import format_duration
from mainstay.store.resources.shapes import Shape, kind_shape

# line, lines: text. free: any value, as YAML. many: several of some choices. moment: a point in time.
Widget = Literal[
    "line",
    "lines",
    "number",
    "duration",
    "secret",
    "zone",
    "moment",
    "choice",
    "switch",
    "many",
    "reference",
    "matcher",
    "free",
    "list",
    "map",
    "group",
]
ABSENT: Any = type("Absent", (), {"__repr__": lambda _self: "ABSENT", "__bool__": lambda _self: False})()
_DEPTH = 12
_FEW = 4  # a group with so many fields shows them all
_LONG = 2000  # characters from which a description is more than a line


@dataclass(frozen=True, slots=True)
class Option:
    value: Any  # as documents have it
    label: str

    @property
    def id(self) -> str:
        """As it is submitted; no two choices of a field have the same."""
        return self.value if isinstance(self.value, str) else str(self.value).lower()


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several ways to say something, each with fields of its own."""

    label: str
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Field:
    """One thing that is asked.

    default: what a document without it means. numeric: a number is kept as one, even where text may stand. single: one
    entry may stand without its list; words: a text is split into entries as a shell does. limit: characters or entries
    at most. first: keys that are shown before the rest.
    section: the heading under which it stands with others.
    optional: a group that may be left out as a whole; forced: one that stands there also when it is empty.
    """

    key: str
    label: str
    widget: Widget
    help: str = ""
    required: bool = False
    default: Any = ABSENT
    options: tuple[Option, ...] = ()
    refers: str = ""
    numeric: bool = False
    single: bool = False
    words: bool = False
    least: float | None = None
    most: float | None = None
    limit: int | None = None
    example: str = ""
    entry: Field | None = None
    fields: tuple[Field, ...] = ()
    first: tuple[str, ...] = ()
    either: tuple[Choice, ...] = ()
    question: str = ""
    optional: bool = False
    forced: bool = False
    shorthand: str = ""
    section: str = ""

    @property
    def named(self) -> str:
        """The kind that it refers to, or the first of several."""
        return self.refers.partition(" ")[0]

    def field(self, key: str) -> Field:
        return next(field for field in self.fields if field.key == key)


@dataclass(frozen=True, slots=True)
class Variant:
    """One sort of a kind, such as the monitors with `http`; `key` is empty where there is but one."""

    key: str
    about: str
    group: Field


@cache
def variants(kind: str) -> tuple[Variant, ...]:
    """The forms of a kind, one for each model that its documents may follow."""
    root = kind_shape(kind)
    models = [leaf for leaf in _leaves(root, root) if "properties" in leaf]
    if len(models) == 1:
        return (Variant("", "", _group("", models[0], root, listed=KINDS[kind].listed)),)
    shared = set.intersection(*(set(model["properties"]) for model in models))
    found = []
    for model in models:
        key = next(key for key in model["required"] if key not in shared)
        group = _group("", model, root, before=(key,))
        found.append(Variant(key, group.field(key).help, group))
    return tuple(found)


def _leaves(node: Shape, root: Shape, depth: int = _DEPTH) -> list[Shape]:
    """The plain schemas behind references and alternatives, with what stands beside those kept by the caller."""
    if depth == 0:
        return []
    if "$ref" in node:
        name = node["$ref"].rpartition("/")[2]
        return _leaves(root["$defs"].get(name, {}), root, depth - 1)
    for word in ("anyOf", "oneOf", "allOf"):
        if word in node:
            return [leaf for inner in node[word] for leaf in _leaves(inner, root, depth - 1)]
    return [node]


def _hint(node: Shape, word: str) -> Any:
    """A keyword of the schema itself or of one of its alternatives."""
    if word in node:
        return node[word]
    inner = [one for group in ("anyOf", "oneOf", "allOf") for one in node.get(group, ())]
    return next((found for one in inner if (found := _hint(one, word))), "")


def _group(
    key: str, model: Shape, root: Shape, *, depth: int = _DEPTH, listed: bool = False, before: tuple[str, ...] = ()
) -> Field:
    properties = {name: node for name, node in model["properties"].items() if not (listed and name == "name")}
    required = set(model.get("required", ()))
    fields = {
        name: field_of(name, node, root, required=name in required, depth=depth - 1)
        for name, node in properties.items()
    }
    ways = model.get(EITHER, {"asks": "", "ways": ()})
    either = tuple(Choice(words, tuple(keys)) for words, keys in ways["ways"])
    asked = [name for name in (*before, *model.get(FIRST, ())) if name in fields]
    if FIRST not in model and len(fields) <= _FEW:
        asked = list(fields)
    chosen = {name for choice in either for name in choice.keys}
    for name in (*before, *chosen):
        if fields[name].widget == "group":
            fields[name] = replace(fields[name], optional=False, forced=True)
    first = [*asked, *(name for name in fields if name in required and name not in asked)]
    order = [*first, *(name for name in fields if name not in first)]
    return Field(
        key,
        label_of(key, ""),
        "group",
        fields=tuple(fields[name] for name in order),
        first=tuple(name for name in first if name not in chosen),
        either=either,
        question=ways["asks"],
    )


def field_of(key: str, node: Shape, root: Shape, *, required: bool = False, depth: int = _DEPTH) -> Field:
    """The field that asks for a value of this schema."""
    leaves = _leaves(node, root)
    model = next((leaf for leaf in leaves if "properties" in leaf), None)
    if _hint(node, SORT) == "free":
        own = Field(key, "", "free")
    elif model is not None and depth > 0:
        bare = {"null", "boolean"} & {leaf.get("type") for leaf in leaves}
        own = replace(_group(key, model, root, depth=depth), optional=bool(bare), shorthand=_hint(node, SHORTHAND))
    else:
        own = _asked(key, node, leaves, root, depth)
    default = node.get("default", ABSENT)
    if own.widget == "duration" and isinstance(default, int | float):
        default = format_duration(default)
    return replace(
        own,
        label=label_of(key, node.get("title", "")),
        help=node.get(HELP) or node.get("description", ""),
        required=required,
        default=default,
        refers=_hint(node, REFERS) or own.refers,
        section=node.get(SECTION, ""),
        example=str((node.get("examples") or [""])[0]),
    )


def _asked(key: str, node: Shape, leaves: list[Shape], root: Shape, depth: int) -> Field:
    """The widget of what is no group, and what only it needs."""
    nullable = any(leaf.get("type") == "null" for leaf in leaves)
    leaves = [leaf for leaf in leaves if leaf.get("type") != "null"]
    types = {leaf.get("type", "") for leaf in leaves}
    array = next((leaf for leaf in leaves if leaf.get("type") == "array"), None)
    if array is not None:
        return _listed(key, node, array, root, single=len(leaves) > 1, depth=depth)
    mapping = next((leaf for leaf in leaves if leaf.get("type") == "object"), None)
    if mapping is not None and (inner := _values(mapping)) is not None:
        entry = replace(field_of("", inner, root, depth=depth - 1), optional=False, forced=True)
        return Field(key, "", "map", entry=entry, limit=mapping.get("maxProperties"))
    if not types or types & {"", "object"}:
        return Field(key, "", "free")
    return _single(key, node, leaves, types, nullable)


def _single(key: str, node: Shape, leaves: list[Shape], types: set[str], nullable: bool) -> Field:
    if types == {"boolean"} and not nullable:
        return Field(key, "", "switch")
    options = _options(leaves)
    if all(_values_of(leaf) for leaf in leaves):
        return Field(key, "", "choice", options=options)
    return _text(key, node, leaves, types, options)


def _values(mapping: Shape) -> Shape | None:
    """The schema of a mapping's values."""
    inner = mapping.get("additionalProperties")
    if isinstance(inner, dict):
        return inner
    return next(iter(mapping.get("patternProperties", {}).values()), None)


def _listed(key: str, node: Shape, array: Shape, root: Shape, *, single: bool, depth: int) -> Field:
    items = array.get("items", {})
    limit, least = array.get("maxItems"), array.get("minItems")
    options = _options(_leaves(items, root))
    if options:
        return Field(key, "", "many", options=options, single=single, limit=limit, least=least)
    entry = replace(field_of("", items, root, depth=depth - 1), optional=False, forced=True)
    if (kind := _hint(node, REFERS)) and entry.widget == "line":
        entry = replace(entry, widget="reference", refers=kind)
    words = _hint(node, SORT) == "words"
    return Field(key, "", "list", entry=entry, single=single and not words, words=words, limit=limit, least=least)


def _values_of(leaf: Shape) -> list[Any]:
    """The values that a schema names one by one."""
    if "enum" in leaf:
        return list(leaf["enum"])
    if "const" in leaf:
        return [leaf["const"]]
    return [False, True] if leaf.get("type") == "boolean" else []


def _options(leaves: list[Shape]) -> tuple[Option, ...]:
    return tuple(Option(value, option_label(value)) for leaf in leaves for value in _values_of(leaf))


def _text(key: str, node: Shape, leaves: list[Shape], types: set[str], options: tuple[Option, ...]) -> Field:
    numeric = bool(types & {"integer", "number"})
    bounds: dict[str, Any] = {
        word: next((leaf[name] for leaf in leaves if name in leaf), None)
        for word, name in (("least", "minimum"), ("most", "maximum"), ("limit", "maxLength"))
    }
    hint = _hint(node, SORT)
    widget: Widget = hint or ("number" if numeric and types <= {"integer", "number"} else "line")
    if any(leaf.get("format") == "date-time" for leaf in leaves):
        widget = "moment"
    if key == "description" and (bounds["limit"] or 0) >= _LONG:
        widget = "lines"
    if _hint(node, REFERS):
        widget = "reference"
    return Field(key, "", widget, numeric=numeric, options=options, **bounds)

"""Forms made from what kinds declare: every document goes through its form and comes out as it was."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mainstay.frames.web.forms.settling import settle
from mainstay.frames.web.forms.shape import ABSENT, Field, Variant, variants
from mainstay.frames.web.forms.state import ON, PICK, State, Unshowable, fill, nest, read
from mainstay.frames.web.forms.view import view, wrong
from mainstay.frames.web.forms.weave import weave
from mainstay.kernel.asking import REFERS
from mainstay.kernel.diagnostics import Diagnostics
from mainstay.kernel.resource import KINDS
from mainstay.store.resources.documents import read_text
from mainstay.store.resources.export import to_yaml
from mainstay.store.resources.files import read_body

ROOT = Path(__file__).parents[2]
SORTS = [(kind.name, variant.key) for kind in KINDS for variant in variants(kind.name)]


def variant_of(kind: str, document: dict[str, Any]) -> Variant:
    return next(one for one in variants(kind) if not one.key or one.key in document)


def documents() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(where it is from, kind, document) of every example."""
    files = sorted(path for end in ("yaml", "json") for path in (ROOT / "examples").rglob(f"*.{end}"))
    texts = [(path.name, path.read_bytes()) for path in files]
    texts += [(f"example of {kind.name}", kind.example.encode()) for kind in KINDS]
    for name, raw in texts:
        for document in read_body(raw).documents:
            for kind in KINDS:
                section = document.data.get(kind.plural) or {}
                if kind.alone:
                    section = [section] if section else []
                for entry in section if isinstance(section, list) else section.values():
                    yield name, kind.name, {key: value for key, value in entry.items() if key != "name"}


def sent(field: Field, state: State, name: str = "") -> Iterator[tuple[str, list[str]]]:
    """What a browser sends of a form in this state, with an empty row behind every list of lines."""

    def at(*steps: object) -> str:
        return ".".join(str(step) for step in (name, *steps) if step != "")

    if field.widget == "group":
        yield from ((at(word), ["", state[word]]) for word in (ON, PICK))
        for one in field.fields:
            yield from sent(one, state[one.key], at(one.key))
    elif field.widget == "list" and field.entry is not None:
        for row, inner in enumerate([*state, fill(field.entry)]):
            yield from sent(field.entry, inner, at(row))
    elif field.widget == "map" and field.entry is not None:
        for row, (key, inner) in enumerate(state):
            yield at(row, "key"), [key]
            yield from sent(field.entry, inner, at(row, "value"))
    elif isinstance(state, dict):
        yield from ((at(word), [text]) for word, text in state.items())
    else:
        yield name, ["", *state] if isinstance(state, list) else ["", state]


def through(variant: Variant, document: Any, *, written: bool) -> Any:
    """A document that was shown in a form, submitted untouched, and read again."""
    state = read(variant.group, nest(sent(variant.group, fill(variant.group, document))))
    return settle(variant.group, state, document) if written else settle(variant.group, state)


EXAMPLES = [pytest.param(kind, document, id=f"{name}-{at}") for at, (name, kind, document) in enumerate(documents())]


def test_there_is_an_example_of_every_kind_and_sort() -> None:
    told = {(kind, variant_of(kind, document).key) for _, kind, document in documents()}
    assert {kind for kind, _ in told} == {kind.name for kind in KINDS}
    assert len(told) > len(SORTS) / 2


@pytest.mark.parametrize(("kind", "document"), EXAMPLES)
def test_a_document_goes_through_its_form_unchanged(kind: str, document: dict[str, Any]) -> None:
    spec = KINDS[kind].validate(document)
    variant = variant_of(kind, document)
    assert through(variant, document, written=True) == document, "what nobody touched stays as it was written"
    assert KINDS[kind].validate(through(variant, document, written=False)) == spec
    shortest = {key: value for key, value in spec.to_document().items() if key != "name"}
    assert KINDS[kind].validate(through(variant, shortest, written=False)) == spec


@pytest.mark.parametrize(("kind", "sort"), SORTS)
def test_a_form_asks_for_all_that_may_be_declared_and_an_empty_one_declares_nothing(kind: str, sort: str) -> None:
    variant = next(one for one in variants(kind) if one.key == sort)
    state = fill(variant.group)
    assert settle(variant.group, state) == ({sort: {}} if sort else ABSENT)
    node = view(variant.group, state, "spec", {"": ["of all of it"], "nowhere": ["left"]}, lambda _kind: [])
    assert [text for _, text in wrong(node)] == ["of all of it"]


def test_what_names_another_resource_offers_what_there_is() -> None:
    groups = [(kind.name, variant.group) for kind in KINDS for variant in variants(kind.name)]
    found = {(kind, word) for kind, group in groups for one in each(group) for word in one.refers.split()}
    for _, kind, document in documents():
        for reference in KINDS[kind].references(KINDS[kind].validate(document)):
            assert (kind, reference.kind) in found, f"a field of {kind} lacks {REFERS}"


def each(field: Field) -> Iterator[Field]:
    yield field
    for inner in (*field.fields, *([field.entry] if field.entry else [])):
        yield from each(inner)


TEXT = st.sampled_from(["", "a", "12", "true", "~", "a: b", "#c", " x", "y\nz", "${env:A}", "\u00fc", "1m", "5"])


def states(field: Field) -> st.SearchStrategy[State]:
    """States that a person could leave a form in."""
    if field.widget == "group":
        picks = st.sampled_from([str(at) for at in range(max(1, len(field.either)))])
        on = st.sampled_from(["", "true"]) if field.optional else st.just("true")
        return st.fixed_dictionaries({ON: on, PICK: picks, **{one.key: states(one) for one in field.fields}})
    if field.entry is not None:
        inner = states(field.entry)
        if field.widget == "map":
            return st.lists(st.tuples(TEXT, inner).map(list), max_size=2, unique_by=lambda pair: pair[0])
        return st.lists(inner, max_size=2)
    if field.widget in ("choice", "many"):
        one = st.sampled_from([option.id for option in field.options])
        return st.lists(one, max_size=2, unique=True) if field.widget == "many" else one
    if field.widget == "switch":
        return st.sampled_from(["", "true"])
    if field.widget == "matcher":
        operator = st.sampled_from(["=", "!=", "=~", "!~"])
        return st.fixed_dictionaries({"label": st.sampled_from(["", "team"]), "operator": operator, "value": TEXT})
    if field.widget == "moment":
        moments = st.sampled_from(["", "2026-01-31T22:00", "2026-07-01T00:00:30"])
        zones = st.sampled_from(["UTC", "+02:00", "Europe/Berlin"])
        return st.fixed_dictionaries({"at": moments, "zone": zones})
    return TEXT


@pytest.mark.parametrize(("kind", "sort"), [("monitor", "http"), ("channel", "email"), ("window", ""), ("route", "")])
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_what_a_form_declares_is_what_it_shows_again(kind: str, sort: str, data: st.DataObject) -> None:
    variant = next(one for one in variants(kind) if one.key == sort)
    state = data.draw(states(variant.group))
    assert read(variant.group, nest(sent(variant.group, state))).keys() == state.keys()
    document = settle(variant.group, state)
    try:
        shown = fill(variant.group, document)
    except Unshowable:
        return  # what is wrong in itself, such as a matcher without a label
    assert settle(variant.group, shown, document) == document
    assert fill(variant.group, settle(variant.group, shown)) == shown


def said(text: str) -> Any:
    (document,) = read_text(text, "", Diagnostics())
    return document.data


WRITTEN = """# ours
monitors:
  # the shop
  shop:
    http: https://x.example  # the entrance
    # how often
    every: 1m
    labels:
      team: a   # core
      # why
      service: b

    # the end
    severity: P1
routes:
  # first
  - name: a
    to: [x]
  - to:
      - z   # zz
# tail
"""


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        (lambda data: data["monitors"]["shop"].update(every="5m"), WRITTEN.replace("1m", "5m")),
        (lambda data: data["monitors"]["shop"].pop("severity"), WRITTEN.replace("    severity: P1\n", "")),
        (lambda data: data["monitors"]["shop"]["labels"].update(service="c"), WRITTEN.replace(": b", ": c")),
        (lambda data: data["routes"][1]["to"].append("q"), WRITTEN.replace("# zz\n", "# zz\n      - q\n")),
        (lambda data: data["routes"][0].update(name="n"), WRITTEN.replace("name: a", "name: n")),
        (
            lambda data: data["monitors"].update(store=data["monitors"].pop("shop")),
            WRITTEN.replace("  shop:", "  store:"),
        ),
    ],
)
def test_comments_stay_where_nothing_changes(change: Any, kept: str) -> None:
    after = said(WRITTEN)
    change(after)
    assert weave(WRITTEN, said(WRITTEN), after) == kept


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_changed_text_says_what_is_meant(data: st.DataObject) -> None:
    leaves = st.one_of(st.text("ab:#- \n'\"", max_size=6), st.integers(0, 9), st.booleans(), st.none())
    keys = st.sampled_from(["a", "b", "c", "x y", "yes"])

    def nested(one: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        return st.lists(one, max_size=3) | st.dictionaries(keys, one, max_size=3)

    inner = st.recursive(leaves, nested, max_leaves=9)
    sides = st.dictionaries(keys, inner, min_size=1, max_size=3)
    before, after = data.draw(sides), data.draw(sides)
    assert said(weave(to_yaml(before), before, after)) == after

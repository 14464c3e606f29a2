"""Declared documents that are spoilt in their parts: keys of one in another, any value in any place.

Changes of the text hardly ever make a document that can be read and is wrong in two places; these do.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.fuzz.fuzzing import LONGEST, Target

_STRANGE: tuple[Any, ...] = (
    None, True, 0, -1, 1e308, 10**30, "", "x" * 50, [], {}, [[]], {"": 1}, {"a": {"a": {}}}, "${env:A}", "${vault:x}",
    "0s", "99999999d", "\u0000", "\uff11\uff12", "P0", "1 of 0", "0 of 0", "99 of 99", ["main", "main"], "* * * * *",
)  # fmt: skip


def declarations(examples: Path) -> Target:
    from mainstay.kernel.diagnostics import Diagnostics
    from mainstay.store.resources.declarations import declared
    from mainstay.store.resources.documents import Document, read_text
    from mainstay.store.resources.json_text import read_json
    from mainstay.store.resources.references import check_references

    def run(text: str) -> None:
        diagnostics = Diagnostics()
        found = declared([Document("fuzz", read_json(text))], "file", diagnostics)
        check_references({own.key: own for own in found}, set(), diagnostics)
        for told in map(str, diagnostics):
            assert "pydantic" not in told, told
            assert "Input should" not in told, told

    seeds = []
    for path in sorted(examples.rglob("*.y*ml")):
        for document in read_text(path.read_text("utf-8"), path.name, Diagnostics()):
            for kind, declared_there in document.data.items():
                named = declared_there if isinstance(declared_there, dict) else {"": declared_there}
                seeds += [json.dumps({kind: {name: one} if name else one}) for name, one in named.items()]
    return Target("declarations in parts", run, seeds, longest=4 * LONGEST, change=spoil)


def spoil(seed: str, dice: random.Random, others: Sequence[str], longest: int) -> str:
    """One to four changes; what would be too long is left as it was."""
    document, donors = json.loads(seed), [json.loads(text) for text in dice.choices(others, k=4)]
    pool = [value for donor in donors for _, value in _parts(donor)]
    for _ in range(dice.randint(1, 4)):
        document = _changed(document, dice, donors, pool)
    text = json.dumps(document)
    return text if len(text) <= longest else seed


def _changed(document: Any, dice: random.Random, donors: Sequence[Any], pool: Sequence[Any]) -> Any:
    way = dice.randrange(8)
    if way < 3:
        _join(document, dice, dice.choice(donors))
        return document
    value = copy.deepcopy(dice.choice(pool if way < 6 else _STRANGE))
    *above, last = dice.choice([place for place, _ in _parts(document)]) or (None,)
    if last is None:  # the whole of it: a new part beside the others, as a rule
        return document | {"monitors": value} if isinstance(document, dict) and dice.random() < 0.9 else value
    holder = document
    for step in above:
        holder = holder[step]
    if way == 3:
        del holder[last]
    else:
        holder[last] = value
    return document


def _join(document: Any, dice: random.Random, donor: Any) -> None:
    """Keys of a spec that another spec has, of the same kind if there is one."""
    for kind, named in donor.items() if isinstance(donor, dict) else ():
        mine = document.get(kind) if isinstance(document, dict) else None
        if not isinstance(mine, dict) or not isinstance(named, dict):
            continue
        for spec in mine.values():
            other = dice.choice(list(named.values()))
            if isinstance(spec, dict) and isinstance(other, dict) and other:
                chosen = dice.sample(sorted(other), dice.randint(1, len(other)))
                spec.update({key: copy.deepcopy(other[key]) for key in chosen if key not in spec})


def _parts(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Every value in a document with the steps to it, itself first."""
    yield place, value
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, one in inner:
        yield from _parts(one, (*place, step))

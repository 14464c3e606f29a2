"""The reference page of declared files: an introduction by hand, every key from the specs."""

from __future__ import annotations

import importlib
import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mainstay.kernel.ports import CheckKind
from mainstay.kernel.resource import KINDS, Kind
from mainstay.runtime.capabilities import register_kinds
from mainstay.runtime.kinds import check_kinds
from mainstay.store.resources.documents import LIMIT_BYTES, LIMIT_DEPTH, LIMIT_NODES
from mainstay.store.resources.schema import file_schema

EXAMPLES = Path(__file__).resolve().parent.parent / "examples" / "checks"
Shape = dict[str, Any]

_INTRODUCTION = f"""\
# File format

One YAML (or JSON) file, or several, declare everything that Mainstay watches, whom it tells and what it shows.
`mainstay plan FILE...` shows what would change, `mainstay apply FILE...` changes it, `mainstay export` writes
everything declared as one file. See [the examples](../../examples).

```yaml
monitors:
  api: {{http: https://api.example.com/health, every: 30s}}
channels:
  mail: {{email: ops@example.com}}
routes:
  - {{to: [mail]}}
```

## How files are read

- A file is a mapping of the keys below. Most hold a mapping of names to what is declared; `routes` is a list, because
  its order counts, and below `settings` stand the settings themselves, because there is one of it. Files and folders
  (every `*.yaml`, `*.yml` and `*.json`, by name) given together count as one, and so do several documents in one
  file (`---`). A name may stand once in all of them.
- **Names** hold letters and digits of any script, with `.`, `_` and `-` between them, at most 100 characters. A
  route is named by its own `name`, or else by its position: `route-1`.
- **Mistakes** are told all at once with file, line and column, and nothing is applied unless all is valid.
- **Durations** are text such as `250ms`, `30s`, `5m`, `1h30m`, `7d`; a bare number is seconds.
- **Secrets** are references: `${{env:NAME}}` is taken from the environment of the server, `${{file:name}}` from the
  folder `secrets` of the data folder or a folder of `MAINSTAY_SECRET_DIRS`. They are looked up when they are used
  and never stored; a plan warns of one that has no value where the plan is made.
- **YAML** is read as version 1.2: `no`, `on`, `12:30` and `2026-01-31` are text. As names such words must stand
  in quotes, since other programs would read something else. Anchors, aliases and `<<` work; keys at the top that
  begin with `x-` are left alone, as a place for anchors. Tags other than YAML's own for text, numbers, lists and
  mappings, keys that stand twice, control characters, and numbers beyond 64 bits are refused.
- **Bounds**: {LIMIT_BYTES // 1024 // 1024} MiB in all ({{api_limit}} over the API), {LIMIT_DEPTH} levels deep,
  {LIMIT_NODES:,} keys and values with every alias expanded.
- **Editors** complete and check with the JSON Schema of `mainstay schema > mainstay.schema.json` and this line:
  `# yaml-language-server: $schema=mainstay.schema.json`.

## Who keeps what

Every resource knows who keeps it: a file (by its path), a page, the API, the command line or a ping. What a file
keeps is changed from a page or the API only by taking it over on purpose; the file's next apply shows that as a
difference and takes it back. An apply leaves alone what its files do not name, unless `--prune` is given: then
everything that files keep and that is no longer declared is deleted. The file given to `mainstay up --config`
prunes what it declared itself. What another resource still names cannot be deleted. A new name is a new resource:
state and history belong to the old one.

## Plans as JSON

`mainstay plan --json` and `POST /api/v1/plan` print `base` (the revision that the plan was made against), `counts`
by action, `warnings`, and `changes`. Each change has `action` (`create`, `update` or `delete`), `kind`, `name`,
`uid`, `manager`, `source`, `taken_over_from` if somebody else keeps it until now, and `fields`: `path`, `before`
and `after`, where a side is left out if the field is at its default there. With `--detailed-exitcode`, `plan`
exits with 0 when nothing differs, 1 for mistakes and 2 for differences; without it, with 0 when all is valid and 2
for mistakes.
"""


def file_format() -> Iterator[str]:
    register_kinds()
    schema = file_schema()
    yield _INTRODUCTION.replace("{api_limit}", "2 MiB")
    for kind in KINDS:
        section = schema["properties"][kind.plural]
        yield f"## `{kind.plural}`\n\n{kind.summary[0].upper()}{kind.summary[1:]}.\n"
        shape = section["anyOf"][0] if kind.alone else section.get("items") or section["additionalProperties"]
        yield from _kind(kind, shape, schema)


def _kind(kind: Kind, shape: Shape, root: Shape) -> Iterator[str]:
    variants = [_resolved(variant, root) for variant in shape.get("anyOf", [shape])]
    if len(variants) == 1:
        yield from _table(variants[0], root)
        return
    first = variants[0]["properties"]
    shared = [
        key
        for key in first
        if all(key in one["properties"] and _same(one["properties"][key], first[key]) for one in variants)
    ]
    chosen = [next(key for key in one["required"] if key not in shared) for one in variants]
    yield f"A {kind.name} has exactly one of {', '.join(f'`{key}`' for key in chosen)}, and any of these keys:\n"
    yield from _table({**variants[0], "properties": {key: first[key] for key in shared}}, root)
    if kind.name == "monitor":
        yield "| check | what it is |\n|---|---|"
        for key, variant in zip(chosen, variants, strict=True):
            yield f"| [`{key}`](checks/{key}.md) | {_about(variant['properties'][key], root)} |"
        yield ""
        return
    for key, variant in zip(chosen, variants, strict=True):
        yield f"### `{key}`\n\n{_about(variant['properties'][key], root)}.\n"
        yield from _own_table(key, variant, shared, root)


def _own_table(key: str, variant: Shape, shared: list[str], root: Shape) -> Iterator[str]:
    own = {name: inner for name, inner in variant["properties"].items() if name not in shared}
    yield from _table({**variant, "properties": {key: own.pop(key), **own}}, root)


def check_pages() -> dict[str, Iterator[str]]:
    """One page for each kind of check: what its spec says, its keys, its example."""
    register_kinds()
    root = file_schema()
    section = root["properties"]["monitors"]["additionalProperties"]
    variants = [_resolved(variant, root) for variant in section["anyOf"]]
    first = variants[0]["properties"]
    shared = [key for key in first if all(_same(one["properties"].get(key, {}), first[key]) for one in variants)]
    return {kind.name: _check_page(kind, variants, shared, root) for kind in check_kinds().values()}


def _check_page(kind: CheckKind, variants: list[Shape], shared: list[str], root: Shape) -> Iterator[str]:
    variant = next(one for one in variants if kind.name in one["required"])
    yield f"# Check `{kind.name}`\n\n{kind.summary}. Keys that every monitor has are those of"
    yield "[monitors](../file-format.md#monitors).\n"
    owner = importlib.import_module(f"mainstay.integrations.checks.{kind.name}.spec")
    _, _, more = inspect.cleandoc(owner.__doc__ or "").partition("\n\n")
    if more:
        yield f"{more}\n"
    for _, extra in kind.requires:
        yield f"It needs the extra `{extra}`: `pip install 'mainstay[{extra}]'`; a plan says so where it is missing.\n"
    yield from _own_table(kind.name, variant, shared, root)
    example = EXAMPLES / f"{kind.name}.yaml"
    if example.exists():
        yield f"## Example\n\n```yaml\n{example.read_text().strip()}\n```"


def _same(one: Shape, other: Shape) -> bool:
    # `every` differs by its default only: it is told once, and its default with the check.
    return one == other


def _table(shape: Shape, root: Shape) -> Iterator[str]:
    yield "| key | form | default | what it says |\n|---|---|---|---|"
    for key, form, default, about in _rows(shape, root, ""):
        yield f"| `{key}` | {form} | {default} | {about} |"
    yield ""


def _rows(
    shape: Shape, root: Shape, prefix: str, around: tuple[Shape, ...] = ()
) -> Iterator[tuple[str, str, str, str]]:
    """A row for each key. What holds others of its own sort (routes) is told once."""
    for key, inner in shape["properties"].items():
        name = f"{prefix}{key}"
        default = "required" if key in shape.get("required", ()) else _default(inner)
        yield name, _form(inner, root), default, _about(inner, root)
        for nested, suffix in _nested(inner, root):
            if not any(nested is outer for outer in around):
                yield from _rows(nested, root, f"{name}{suffix}.", (*around, nested))


def _nested(shape: Shape, root: Shape) -> Iterator[tuple[Shape, str]]:
    for one in _alternatives(shape, root):
        if "properties" in one:
            yield one, ""
        elif isinstance(one.get("items"), dict):
            yield from ((inner, "[]") for inner in _alternatives(one["items"], root) if "properties" in inner)
        elif isinstance(one.get("additionalProperties"), dict):
            values = _alternatives(one["additionalProperties"], root)
            yield from ((inner, ".NAME") for inner in values if "properties" in inner)


def _alternatives(shape: Shape, root: Shape) -> Iterator[Shape]:
    resolved = _resolved(shape, root)
    if "anyOf" in resolved and not _is_duration(resolved):
        for inner in resolved["anyOf"]:
            yield from _alternatives(inner, root)
    else:
        yield resolved


def _resolved(shape: Shape, root: Shape) -> Shape:
    if "$ref" not in shape:
        return shape
    target: Shape = root["$defs"][shape["$ref"].removeprefix("#/$defs/")]
    return _resolved(target, root)


def _about(shape: Shape, root: Shape) -> str:
    text = str(shape.get("description") or _resolved(shape, root).get("description", ""))
    return " ".join(text.split()).replace("|", "\\|")


def _default(shape: Shape) -> str:
    value = shape.get("default")
    if value is None or value in ([], "") or isinstance(value, dict):
        return ""
    return f"`{value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}`"


def _is_duration(shape: Shape) -> bool:
    return any("ms|s" in inner.get("pattern", "") for inner in shape.get("anyOf", ()) if isinstance(inner, dict))


def _form(shape: Shape, root: Shape) -> str:
    if _is_duration(_resolved(shape, root)):
        return "duration"
    forms = [_plain(one, root) for one in _alternatives(shape, root) if one.get("type") != "null"]
    return " or ".join(dict.fromkeys(form for form in forms if form)) or "anything"


def _plain(shape: Shape, root: Shape) -> str:
    if _is_duration(shape):
        return "duration"
    if "enum" in shape or "const" in shape:
        return ", ".join(f"`{value}`" for value in shape.get("enum", [shape.get("const")]))
    kind = shape.get("type")
    if kind in ("integer", "number"):
        return _number(shape)
    if kind == "array":
        return f"list of {_form(shape.get('items', {}), root)}"
    return _mapping(shape, root) if kind == "object" else _word(shape)


def _mapping(shape: Shape, root: Shape) -> str:
    values = [shape.get("additionalProperties"), *shape.get("patternProperties", {}).values()]
    inner = next((value for value in values if isinstance(value, dict)), None)
    return "mapping" if inner is None else f"mapping of names to {_form(inner, root)}"


def _word(shape: Shape) -> str:
    words = {"date-time": "date and time", "uuid": "UUID", "boolean": "true or false", "string": "text"}
    return words.get(shape.get("format", ""), words.get(shape.get("type", ""), ""))


def _number(shape: Shape) -> str:
    noun = "whole number" if shape["type"] == "integer" else "number"
    low, high = shape.get("minimum"), shape.get("maximum")
    if low is not None and high is not None:
        return f"{noun}, {low:,} to {high:,}"
    return f"{noun}, at least {low:,}" if low is not None else noun

"""Writing what is declared as one YAML document that applies to an empty install without a difference."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import yaml

from mainstay.kernel.resource import KINDS, Kind, Resource, Spec
from mainstay.store.resources.scalars import plain, trap

View = Callable[[Kind, dict[str, Any]], dict[str, Any]]
_DUMPER: Any = yaml.CSafeDumper if yaml.__with_libyaml__ else yaml.SafeDumper


class _Dumper(_DUMPER):  # type: ignore[misc]  # the C dumper's stub is not a class that mypy can see
    """Block style without aliases; quotes wherever any YAML reader could see more than text."""

    def ignore_aliases(self, _data: Any) -> bool:
        return True


def _represent_text(dumper: Any, text: str) -> Any:
    if "\n" in text and not any(line != line.rstrip() for line in text.split("\n")) and "\r" not in text:
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|")
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"' if _looks_otherwise(text) else None)


def _looks_otherwise(text: str) -> bool:
    """Whether the text without quotes is something else to this reader or to one of YAML 1.1."""
    try:
        return plain(text) != text or bool(trap(text))
    except ValueError:
        return True


_Dumper.add_representer(str, _represent_text)


def as_declared(_kind: Kind, document: dict[str, Any]) -> dict[str, Any]:
    return document


def export_yaml(resources: Iterable[Resource], view: View = as_declared) -> str:
    """The document, kinds in their order and resources in theirs. Secrets are in it as references only.

    view: what is shown of each document; see `showing` for who may see what.
    """
    return to_yaml(export_data(resources, view))


def to_yaml(data: Any) -> str:
    return str(yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=2**30))


def export_data(resources: Iterable[Resource], view: View = as_declared) -> dict[str, Any]:
    by_kind: dict[str, list[Resource]] = {}
    for resource in resources:
        by_kind.setdefault(resource.kind, []).append(resource)
    return {kind.plural: _section(kind, by_kind[kind.name], view) for kind in KINDS if kind.name in by_kind}


def _section(kind: Kind, found: list[Resource], view: View) -> dict[str, Any] | list[Any]:
    if kind.alone:
        return view(kind, written(found[0].spec))
    if not kind.listed:
        return {one.name: view(kind, written(one.spec)) for one in sorted(found, key=lambda one: one.name)}
    entries = []
    for position, resource in enumerate(sorted(found, key=lambda one: (one.position, one.name)), 1):
        own = {} if resource.name == f"{kind.name}-{position}" else {"name": resource.name}
        entries.append({**own, **view(kind, written(resource.spec))})
    return entries


def written(spec: Spec) -> dict[str, Any]:
    """The document of a spec as people write it: what is required first."""
    document = spec.to_document()
    fields = {field.alias or name: field for name, field in type(spec).model_fields.items()}
    return {
        key: document[key]
        for key in sorted(document, key=lambda key: not (key in fields and fields[key].is_required()))
    }

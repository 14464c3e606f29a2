"""A changed document in the text that it came from: comments and lines of what did not change stay as they are.

Only block style is changed in place; what is written in braces, or holds anchors, is written anew where it changes. The
result is read again, and where it does not say what is meant, all of it is written anew.
"""

from __future__ import annotations

from typing import Any

import yaml

from mainstay.kernel.diagnostics import Diagnostics
from mainstay.store.resources.documents import read_text
from mainstay.store.resources.export import to_yaml

_LOADER: Any = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader


def weave(text: str, before: Any, after: Any) -> str:
    """The text, which says `before`, as one that says `after`."""
    if before == after:
        return text
    try:
        root = yaml.compose(text, Loader=_LOADER)
    except yaml.YAMLError:
        root = None
    if isinstance(root, yaml.MappingNode) and isinstance(before, dict) and isinstance(after, dict):
        lines = text.split("\n")
        _change_mapping(lines, root, before, after)
        woven = "\n".join(lines)
        if _says(woven) == after:
            return woven
    return to_yaml(after)


def _says(text: str) -> Any:
    diagnostics = Diagnostics()
    found = read_text(text, "", diagnostics)
    return found[0].data if len(found) == 1 and not diagnostics.errors else None


def _change_mapping(lines: list[str], node: Any, before: dict[str, Any], after: dict[str, Any]) -> None:
    """From the last entry to the first, so that the lines of those before stay where they are."""
    spans = _spans(lines, [(key.start_mark, value) for key, value in node.value])
    column = node.start_mark.column
    new = {key: value for key, value in after.items() if key not in before}
    gone = [key for key in before if key not in after]
    if len(new) == len(gone) == 1:  # another name
        before = {**before, (name := next(iter(new))): before[gone[0]]}
        _rename(lines, next(key for key, _ in node.value if key.value == gone[0]), name)
        new = {}
    if new and spans:
        lines[spans[-1][1] : spans[-1][1]] = _written(new, column)
    for (key, value), (start, end) in reversed(list(zip(node.value, spans, strict=True))):
        name = key.value
        if name not in after:
            del lines[start:end]
        elif before.get(name) != after[name] and not _change(lines, value, before.get(name), after[name]):
            _replace(lines, (start, end), column, _written({name: after[name]}, column))


def _rename(lines: list[str], key: Any, name: str) -> None:
    line, start, end = key.start_mark.line, key.start_mark.column, key.end_mark.column
    written = to_yaml({name: 0}).removesuffix(": 0\n")
    lines[line] = lines[line][:start] + written + lines[line][end:]
    key.value = name


def _change(lines: list[str], node: Any, before: Any, after: Any) -> bool:
    """Change a mapping or list in block style where it stands; False where it is to be written anew."""
    if isinstance(node, yaml.ScalarNode) or node.flow_style or not before or not after:
        return False
    if isinstance(node, yaml.MappingNode) and isinstance(before, dict) and isinstance(after, dict):
        renamed = len(before.keys() - after.keys()) == len(after.keys() - before.keys()) == 1
        if next(iter(before)) not in after and not renamed:
            return False  # the line of the first key may hold the dash of a list
        _change_mapping(lines, node, before, after)
        return True
    if isinstance(node, yaml.SequenceNode) and isinstance(before, list) and isinstance(after, list):
        return _change_list(lines, node, before, after)
    return False


def _change_list(lines: list[str], node: Any, before: list[Any], after: list[Any]) -> bool:
    """Entries are changed, or added behind the others; a list that lost some or changed its order is written anew."""
    if len(after) < len(before) or any(entry in before for entry in after[len(before) :]):
        return False
    column = node.start_mark.column
    spans = _spans(lines, [(value.start_mark, value) for value in node.value])
    added = after[len(before) :]
    if added:
        lines[spans[-1][1] : spans[-1][1]] = _written(added, column)
    for at in reversed(range(len(before))):
        value, (start, end) = node.value[at], spans[at]
        if before[at] != after[at] and not _change(lines, value, before[at], after[at]):
            _replace(lines, (start, end), column, _written([after[at]], column))
    return True


def _replace(lines: list[str], span: tuple[int, int], column: int, written: list[str]) -> None:
    """What stands before the first key on its line, such as the dash of a list, stays."""
    first = lines[span[0]][:column] + written[0][column:]
    lines[span[0] : span[1]] = [first, *written[1:]]


def _written(entries: Any, column: int) -> list[str]:
    return [" " * column + line if line else line for line in to_yaml(entries).rstrip("\n").split("\n")]


def _spans(lines: list[str], entries: list[tuple[Any, Any]]) -> list[tuple[int, int]]:
    """The lines of each entry, as far as its own text goes: what stands before the next one belongs to that."""
    found = []
    for at, (start, value) in enumerate(entries):
        limit = entries[at + 1][0].line if at + 1 < len(entries) else _end(lines, value)
        while limit > start.line + 1 and lines[limit - 1].lstrip()[:1] in ("", "#"):
            limit -= 1
        found.append((start.line, limit))
    return found


def _end(lines: list[str], value: Any) -> int:
    line, column = int(value.end_mark.line), int(value.end_mark.column)
    inside = line < len(lines) and lines[line][:column].strip()
    return min(len(lines), line + 1 if inside else line)

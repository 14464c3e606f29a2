"""One of something is written in the singular: `1 day`, never `1 days`, on pages and in sentences."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2] / "src" / "mainstay"
NOUNS = "alerts|channels|days|entries|heartbeats|members|migrations|monitors|pings|results|rows|scopes|windows"
_IN_PAGE = re.compile(r"\{\{[^}]*\}\} (?:<[^>]+>)?(?:" + NOUNS + r")\b")
_IN_TEXT = re.compile(rf" (?:{NOUNS})\b")


def test_pages_count_in_words_that_fit() -> None:
    wrong = [
        f"{path.relative_to(SOURCE)}: {found[0]}"
        for path in sorted(SOURCE.rglob("*.html"))
        for found in _IN_PAGE.finditer(path.read_text())
    ]
    assert not wrong, "write the noun with `pluralize`"


def test_sentences_count_in_words_that_fit() -> None:
    wrong = [
        f"{path.relative_to(SOURCE)}:{line}: {text}"
        for path in sorted(SOURCE.rglob("*.py"))
        for line, text in _counts(ast.parse(path.read_text()))
    ]
    assert not wrong, "write it with `kernel.wording.counted`; what never is 1 is a constant"


def _counts(module: ast.Module) -> Iterator[tuple[int, str]]:
    """f-strings in which a value that is no constant stands before one of the nouns."""
    nodes = list(ast.walk(module))
    apart = {id(branch) for node in nodes if isinstance(node, ast.IfExp) for branch in (node.body, node.orelse)}
    for node in nodes:
        if isinstance(node, ast.JoinedStr) and id(node) not in apart:
            for value, text in zip(node.values, node.values[1:], strict=False):
                number = value.value if isinstance(value, ast.FormattedValue) else None
                constant = isinstance(number, ast.Name) and number.id.isupper()
                constant |= isinstance(value, ast.FormattedValue) and ".1f" in ast.unparse(value)  # `1.0 days`
                after = str(text.value) if isinstance(text, ast.Constant) else ""
                if number is not None and not constant and _IN_TEXT.match(after):
                    yield node.lineno, ast.unparse(node)[:120]

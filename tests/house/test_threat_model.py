"""The threat model names tests that are there, and a test for every line."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "explanation" / "threat-model.md"
_NAMED = re.compile(r"`([a-z0-9]+/test_\w+\.py)(?:::(test_\w+))?`")


def lines() -> list[str]:
    """The rows of the tables, without their heads."""
    return [
        line
        for line in PAGE.read_text().splitlines()
        if line.startswith("| ") and not line.startswith("| what they try")
    ]


@cache
def names_in(path: Path) -> frozenset[str]:
    found = ast.walk(ast.parse(path.read_text()))
    return frozenset(node.name for node in found if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def test_there_is_a_model() -> None:
    assert len(lines()) > 40


@pytest.mark.parametrize("line", lines(), ids=lambda line: re.sub(r"\W+", "-", line.split("|")[1].strip())[:60])
def test_each_line_names_tests_that_are_there(line: str) -> None:
    named = _NAMED.findall(line)
    cells = line.strip("| ").split(" | ")
    assert len(cells) == 3
    assert len(named) == cells[2].count("`") // 2 > 0, "only tests stand in the last column"
    for file, name in named:
        path = ROOT / "tests" / file
        assert path.is_file(), file
        assert not name or name in names_in(path), f"{file}::{name}"

"""The house keeps its own rules: sizes, names, errors, docs."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "mainstay"
PYTHON = sorted(path for path in SOURCE.rglob("*.py") if "migrations" not in path.parts)
# Loops that must outlive a bad turn, and a change of state the fault of what reacts to it. All else names what it
# catches.
BLANKET_ALLOWED = {
    "store/work.py",
    "store/writer.py",  # hands it to whoever waits for the job
    "frames/lanes.py",
    "alerting/delivery_lane.py",
    "heartbeats/doors/pings.py",
    "sources/doors/intake.py",
}


def _tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.fail("not a git checkout")
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def test_no_file_is_over_600_lines() -> None:
    long = {}
    for path in _tracked():
        made = path.parent.name == "reference"  # by tools/reference.py, from the code
        if path.suffix in {".py", ".html", ".css", ".js", ".md", ".sh"} and "vendor" not in path.parts and not made:
            lines = path.read_text().count("\n")
            if lines > 600:
                long[str(path.relative_to(ROOT))] = lines
    assert long == {}


def test_lines_of_html_are_short_and_open_one_block_each() -> None:
    block = re.compile(r"<(?:article|d[dlt]|div|form|footer|h[1-6]|header|li|main|nav|ol|p|section|t[dhr]|ul)\b")
    wrong = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in _tracked()
        if path.suffix == ".html" and path.is_relative_to(SOURCE)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if len(line) > 160 or ("templates" in path.parts and len(block.findall(line)) > 1)
    ]
    assert wrong == []


def test_architecture_stays_a_page() -> None:
    assert (ROOT / "ARCHITECTURE.md").read_text().count("\n") < 300


@pytest.mark.parametrize("banned", ["utils", "helpers", "common", "manager", "managers", "service", "services", "base"])
def test_no_module_has_a_name_that_says_nothing(banned: str) -> None:
    assert [path for path in PYTHON if path.stem == banned or banned in path.relative_to(SOURCE).parts[:-1]] == []


def test_every_module_says_what_it_owns() -> None:
    silent = [
        str(path.relative_to(SOURCE))
        for path in PYTHON
        if path.name != "apps.py" and ast.get_docstring(ast.parse(path.read_text())) is None
    ]
    assert silent == []


def test_blanket_excepts_stand_in_lanes_only() -> None:
    found = set()
    for path in PYTHON:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ExceptHandler) and (
                node.type is None
                or (isinstance(node.type, ast.Name) and node.type.id in {"Exception", "BaseException"})
            ):
                found.add(str(path.relative_to(SOURCE)))
    assert found <= BLANKET_ALLOWED


def test_functions_take_at_most_five_positional_parameters() -> None:
    crowded = []
    for path in PYTHON:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                names = [argument.arg for argument in node.args.posonlyargs + node.args.args]
                if len([name for name in names if name not in {"self", "cls"}]) > 5:
                    crowded.append(f"{path.relative_to(SOURCE)}:{node.lineno} {node.name}")
    assert crowded == []


def test_nothing_is_left_for_later() -> None:
    marks = re.compile(r"\b(TODO|FIXME|XXX|HACK|NotImplementedError)\b")
    left = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in PYTHON
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if marks.search(line)
    ]
    assert left == []


def test_sources_name_no_person_or_machine() -> None:
    private = re.compile(r"/root/|/home/\w+/|pypi\.org|registry\.npmjs|deb\.debian\.org")
    found = [
        str(path.relative_to(ROOT))
        for path in _tracked()
        if path.suffix in {".py", ".md", ".toml", ".lock", ".sh", ".html", ".yaml", ".yml"}
        or path.name in {"Makefile", "Dockerfile"}
        if path != Path(__file__) and private.search(path.read_text())
    ]
    assert found == []


def test_every_kind_has_a_page_or_section_in_the_reference() -> None:
    from mainstay.kernel.resource import KINDS
    from mainstay.runtime.kinds import channel_kinds, check_kinds

    text = "\n".join(path.read_text() for path in (ROOT / "docs" / "reference").glob("*.md"))
    names = [kind.plural for kind in KINDS] + list(check_kinds()) + list(channel_kinds())
    assert [name for name in names if f"`{name}`" not in text] == []


def test_links_between_documents_lead_somewhere() -> None:
    broken = []
    for path in (item for item in _tracked() if item.suffix == ".md"):
        targets = re.findall(r"\]\((?!https?://|#|mailto:)([^)#]+)", path.read_text())
        broken += [f"{path.relative_to(ROOT)} -> {target}" for target in targets if not (path.parent / target).exists()]
    assert broken == []


def test_internals_of_allauth_stay_in_one_module() -> None:
    inside = re.compile(r"^\s*(?:from|import) allauth\.[\w.]*internal", re.MULTILINE)
    found = [path.relative_to(SOURCE).as_posix() for path in PYTHON if inside.search(path.read_text())]
    assert found == ["accounts/allauth_internals.py"]

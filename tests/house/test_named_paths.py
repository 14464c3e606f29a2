"""What a docstring, a comment or the map names is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "mainstay"
_NAMED = re.compile(r"(?<![\w./<>*{-])(?:[a-z_]+/)+[a-z_0-9]+\.py\b")
_MAPPED = re.compile(r"^  (\w+)/ +(.*(?:\n {17}\S.*)*)", re.MULTILINE)


def _is_there(name: str, beside: Path) -> bool:
    """Or it is a file of another project, whose folder we do not have."""
    folders = [folder for folder in (ROOT, SOURCE, ROOT / "src", beside) if (folder / name.partition("/")[0]).is_dir()]
    return not folders or any((folder / name).exists() for folder in folders)


def test_files_that_are_named_exist() -> None:
    texts = [ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md", *SOURCE.rglob("*.py"), *(ROOT / "tests").rglob("*.py")]
    missing = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in texts
        for name in _NAMED.findall(path.read_text())
        if not _is_there(name, path.parent)
    ]
    assert missing == []


def test_the_map_names_rooms_that_exist() -> None:
    """Words of the map outside of brackets, in the rooms that it lists by name alone."""
    found = dict(_MAPPED.findall((ROOT / "ARCHITECTURE.md").read_text()))
    assert found.keys() >= {"kernel", "store", "runtime"}
    for room in ("kernel", "store", "runtime"):
        words = re.sub(r"\(.*?\)|pure vocabulary:", "", found[room]).split()
        missing = [
            word for word in words if not {word.strip("/"), f"{word}.py"} & {p.name for p in (SOURCE / room).iterdir()}
        ]
        assert missing == [], room

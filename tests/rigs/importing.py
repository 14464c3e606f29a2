"""Running `mainstay import` in this process, and what holds for every import."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from mainstay.foreign.importing.report import dotted, leaves
from mainstay.kernel.actor import command
from mainstay.runtime.app import run
from mainstay.store.resources.files import read_paths
from mainstay.store.resources.planning import Terms, plan_reading


@dataclass
class Imported:
    code: int
    text: str
    told: str
    report: dict[str, Any] = field(default_factory=dict)

    @property
    def file(self) -> dict[str, Any]:
        return yaml.safe_load(self.text) or {}

    def rows(self, status: str = "") -> dict[str, dict[str, Any]]:
        return {row["path"]: row for row in self.report["rows"] if not status or row["status"] == status}

    def why(self, path: str) -> str:
        row = self.rows()[path]
        return f"{row['status']}: {row['why']}"

    @property
    def secrets(self) -> dict[str, str]:
        """Name -> path of the value in the source."""
        return {needed["name"]: needed["values"][0]["path"] for needed in self.report["secrets"]}


def import_file(tmp_path: Path, capfd: pytest.CaptureFixture[str], *arguments: str) -> Imported:
    """Run it; a written file must plan without a mistake."""
    out, report = tmp_path / "out.yaml", tmp_path / "report.json"
    for path in (out, report):
        path.unlink(missing_ok=True)
    capfd.readouterr()
    with pytest.raises(SystemExit) as ended:
        run(["import", *arguments, "-o", str(out), "--report", str(report)])
    sys.stdout.flush()
    printed = capfd.readouterr()
    code = int(ended.value.code or 0)
    if code:
        assert not out.exists()
        return Imported(code, printed.out, printed.err)
    plan_reading(command("tests"), read_paths([str(out)]), Terms("file", str(out)))
    found = Imported(0, out.read_text(), printed.err, json.loads(report.read_text()))
    names_its_places(found)
    return found


def tells_every_leaf(found: Imported, data: Any) -> None:
    """Each field of the source has its row with a status, and a reason where it is not simply carried."""
    rows = found.rows()
    missing = {dotted(path) for path, _ in leaves(data)} - rows.keys()
    assert missing == set()
    assert all(row["why"] for row in rows.values() if row["status"] != "carried")


def names_its_places(found: Imported) -> None:
    """What is carried or approximated names places in the file that is written, and they are there."""
    for path, row in found.rows().items():
        if row["status"] in ("carried", "approximated"):
            assert row["to"], path
            assert all(is_there(found.file, to.split(".")) for to in row["to"]), (path, row["to"])


def is_there(document: Any, steps: list[str]) -> bool:
    """Whether the path leads somewhere; names may hold dots."""
    if not steps:
        return True
    keys = [".".join(steps[:length]) for length in range(1, len(steps) + 1)]
    found = [key for key in keys if isinstance(document, dict) and key in document]
    return any(is_there(document[key], steps[key.count(".") + 1 :]) for key in found)


def holds_none_of(found: Imported, secrets: Iterable[str]) -> None:
    everything = found.text + found.told + json.dumps(found.report)
    assert [secret for secret in secrets if secret in everything] == []


def without(document: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key not in keys}

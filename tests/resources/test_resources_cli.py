from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mainstay.frames.boot import current_settings
from mainstay.runtime.app import run
from mainstay.store.resources import queries

Run = Callable[..., tuple[int, str, str]]

pytestmark = pytest.mark.usefixtures("store")

GOOD = """\
monitors:
  api: {http: https://a.example, every: 30s}
channels:
  hook: {webhook: {url: https://x.example, secret: "${env:NO_SUCH_SECRET}"}}
routes: [{to: [hook]}]
"""
BAD = """\
monitors:
  größe: {http: https://a.example, expct: 1}
  api: {http: https://a.example, parents: [ap]}
"""


@pytest.fixture
def mainstay(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command line in this process, on the test's database: (exit code, output, errors)."""
    settings = current_settings()
    monkeypatch.setenv("MAINSTAY_DATA", str(settings.data))
    monkeypatch.setenv("MAINSTAY_DATABASE", settings.database)

    def call(*arguments: str, stdin: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        with pytest.raises(SystemExit) as ended:
            run(arguments)
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return call


@pytest.fixture
def good(tmp_path: Path) -> str:
    path = tmp_path / "mainstay.yaml"
    path.write_text(GOOD)
    return str(path)


def test_plan_then_apply_then_no_difference(mainstay: Run, good: str) -> None:
    code, out, err = mainstay("plan", good)
    assert code == 0
    assert "+ monitor api\n    every: 30s\n    http.url: https://a.example\n" in out
    assert "Plan: 3 to create, 0 to change, 0 to delete, 0 unchanged." in out
    assert f"{good}:4:52: warning: ${{env:NO_SUCH_SECRET}} is not set" in err
    assert queries.resources() == []

    code, out, _ = mainstay("apply", good, "--yes")
    assert (code, out.splitlines()[-1]) == (0, "Applied as revision 1.")
    assert queries.resource("monitor", "api").source == good
    assert mainstay("plan", good)[1] == "No changes: 3 resources are as declared.\n"
    assert "Applied" not in mainstay("apply", good, "--yes")[1]


def test_a_plan_of_the_own_export_changes_nothing_but_who_keeps_it(mainstay: Run, good: str, tmp_path: Path) -> None:
    mainstay("apply", good, "--yes")
    path = tmp_path / "export.yaml"
    mainstay("export", "-o", str(path))
    told = mainstay("plan", str(path))[1]
    assert "0 to create, 0 to change, 0 to delete, 3 to take over as they are, 0 unchanged." in told
    path.write_text(path.read_text().replace("30s", "40s"))
    assert "1 to change, 0 to delete, 2 to take over as they are, 0 unchanged." in mainstay("plan", str(path))[1]
    mainstay("apply", str(path), "--yes")
    assert queries.resource("monitor", "api").source == str(path)


def test_exit_codes_tell_a_program_what_a_plan_found(mainstay: Run, good: str, tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text(BAD)
    assert mainstay("plan", str(bad))[0] == 2
    assert mainstay("plan", str(bad), "--detailed-exitcode")[0] == 1
    assert mainstay("plan", good, "--detailed-exitcode")[0] == 2
    mainstay("apply", good, "-y")
    assert mainstay("plan", good, "--detailed-exitcode")[0] == 0
    assert mainstay("plan")[0] == 2
    assert mainstay("apply", good, "--nonsense")[0] == 2


def test_mistakes_are_shown_with_their_line_and_a_caret(mainstay: Run, tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text(BAD)
    code, out, err = mainstay("apply", str(bad), "--yes")
    assert (code, out) == (2, "")
    lines = err.splitlines()
    assert lines[0] == f"{bad}:2:36: error: unknown key `expct`, did you mean `expect`"
    assert lines[1] == "     2 |   größe: {http: https://a.example, expct: 1}"
    assert lines[2].index("^") == lines[1].index("expct")
    assert lines[3] == f"{bad}:3:44: error: no monitor `ap`, did you mean `api`"
    assert lines[-1] == "2 mistakes; nothing was applied."
    found = json.loads(mainstay("plan", str(bad), "--json")[1])
    assert [(item["line"], item["column"], item["path"]) for item in found["error"]["diagnostics"]] == [
        (2, 36, "monitors.größe.expct"),
        (3, 44, "monitors.api.parents.0"),
    ]


def test_nothing_is_applied_where_nobody_can_agree(mainstay: Run, good: str) -> None:
    code, _, err = mainstay("apply", good)
    assert code == 1
    assert "give --yes" in err
    assert queries.latest_revision() == 0


def test_json_of_plan_and_apply(mainstay: Run, good: str) -> None:
    planned = json.loads(mainstay("plan", good, "--json")[1])
    assert planned["base"] == 0
    assert planned["counts"] == {"create": 3, "update": 0, "delete": 0, "unchanged": 0}
    assert planned["changes"][0]["fields"][0] == {"path": "every", "after": "30s"}
    assert planned["warnings"][0]["path"] == "channels.hook.webhook.secret"
    applied = json.loads(mainstay("apply", good, "--json", "--yes")[1])
    assert applied["revision"] == 1
    assert json.loads(mainstay("apply", good, "--json", "--yes")[1])["changes"] == []


def test_standard_input_and_prune(mainstay: Run, good: str) -> None:
    mainstay("apply", good, "--yes")
    smaller = "channels: {hook: {webhook: https://y.example}}\n"
    code, out, _ = mainstay("apply", "-", "--yes", "--prune", stdin=smaller)
    assert code == 0
    assert "- monitor api" in out
    assert "~ channel hook" in out
    assert "webhook.url: https://x.example -> https://y.example" in out
    assert [one.subject for one in queries.resources()] == ["channel/hook"]


def test_an_export_applies_to_an_empty_install_without_a_difference(mainstay: Run, good: str, tmp_path: Path) -> None:
    mainstay("apply", good, "--yes")
    target = tmp_path / "export.yaml"
    assert mainstay("export", "-o", str(target))[0] == 0
    assert mainstay("export")[1] == target.read_text()
    assert list(json.loads(json.dumps(_yaml(target)))) == ["monitors", "channels", "routes"]
    assert list(_yaml_text(mainstay("export", "--kind", "monitor")[1])) == ["monitors"]
    assert list(_yaml_text(mainstay("export", "--kind", "routes")[1])) == ["routes"]
    assert mainstay("export", "--kind", "monitr")[0] == 1
    assert mainstay("export", "-o", str(tmp_path / "no" / "folder"))[0] == 1


def _yaml(path: Path) -> dict[str, object]:
    return _yaml_text(path.read_text())


def _yaml_text(text: str) -> dict[str, object]:
    import yaml

    loaded: dict[str, object] = yaml.safe_load(text)
    return loaded


def test_rollback(mainstay: Run, good: str) -> None:
    mainstay("apply", good, "--yes")
    mainstay("apply", "-", "--yes", "--prune", stdin="monitors: {b: {http: https://b.example}}")
    code, out, _ = mainstay("rollback", "1", "--yes")
    assert (code, out.splitlines()[-1]) == (0, "Applied as revision 3.")
    assert [one.name for one in queries.resources("monitor")] == ["api"]
    code, _, err = mainstay("rollback", "9", "--yes")
    assert code == 1
    assert "there is no revision 9" in err


def test_the_schema_is_printed_as_json(mainstay: Run) -> None:
    code, out, _ = mainstay("schema")
    assert code == 0
    assert json.loads(out)["$id"] == "urn:mainstay:schema:file"


def test_the_command_works_on_a_folder_of_its_own_before_the_first_start(tmp_path: Path, good: str) -> None:
    data = tmp_path / "data"
    environment = {"PATH": os.environ["PATH"], "MAINSTAY_DATA": str(data), "NO_COLOR": "1"}

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "mainstay", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)

    applied = call("apply", good, "--yes")
    assert applied.returncode == 0, applied.stderr
    assert applied.stdout.endswith("Applied as revision 1.\n")
    assert "\x1b" not in applied.stdout
    assert call("plan", good, "--detailed-exitcode").returncode == 0

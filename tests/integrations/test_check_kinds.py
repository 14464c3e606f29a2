"""What checking costs those who do not use it: which modules a prober and a plan load."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from mainstay.kernel.actor import command
from mainstay.kernel.errors import InvalidInput, UserError
from mainstay.kernel.probing import CheckResult
from mainstay.store.resources import planning
from mainstay.store.resources.files import read_body
from mainstay.watch.check_command import address_of, make_order
from mainstay.watch.monitor_page import found
from mainstay.watch.results.values import Sample
from mainstay.watch.telling import finding_of

_HEAVY = ("psutil", "playwright", "greenlet")
_REPORT = "import json, sys; print(json.dumps(sorted(sys.modules)))"


def loaded(code: str) -> set[str]:
    """The modules of a fresh interpreter after this code."""
    ran = subprocess.run([sys.executable, "-c", f"{code}\n{_REPORT}"], capture_output=True, text=True, check=True)
    return set(json.loads(ran.stdout))


def _prepared(kind: str, target: str) -> str:
    return (
        "from mainstay.kernel.probing import CheckOrder\n"
        "from mainstay.watch.prober.dispatch import prepare\n"
        f"order = CheckOrder(uid='m', kind={kind!r}, interval=60, timeout=5, options={{'target': {target}}})\n"
        "assert prepare(order)._plan is not None\n"
        "assert type(prepare(order)._plan).__name__ == 'Prepared', prepare(order)._plan"
    )


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        ("http", "{'url': 'http://127.0.0.1/'}"),
        ("host", "{}"),
        ("docker", "{'container': 'web'}"),
        ("promql", "{'query': 'up'}"),
        ("build", "{'provider': 'vercel', 'project': 'p'}"),
        ("plugin", "{'command': ['check_dummy', '0']}"),
        ("steps", "{'calls': [{'url': 'http://127.0.0.1/'}]}"),
        ("browser", "{'url': 'http://127.0.0.1/'}"),
    ],
)
def test_a_prober_loads_what_its_checks_use_and_nothing_else(kind: str, target: str) -> None:
    modules = loaded(_prepared(kind, target))
    assert not {name for name in modules if name.split(".")[0] in ("django", "pydantic")}
    runs = {name for name in modules if name.startswith("mainstay.integrations.checks.") and name.endswith(".run")}
    borrowed = {"http"} if kind in ("build", "promql", "steps") else set()
    assert runs == {f"mainstay.integrations.checks.{name}.run" for name in {kind, *borrowed}}
    allowed = {"host": {"psutil"}}.get(kind, set())
    assert modules & set(_HEAVY) == allowed


def test_a_plan_loads_specs_and_no_library_of_an_extra() -> None:
    modules = loaded("from mainstay.runtime.kinds import check_kinds; check_kinds()")
    assert not modules & set(_HEAVY)
    assert not {name for name in modules if name.startswith("mainstay.integrations.checks.") and name.endswith(".run")}


def test_a_plan_names_the_extra_that_is_missing(monkeypatch: pytest.MonkeyPatch, store: None) -> None:
    monkeypatch.setattr(planning, "_installed", lambda module: module not in _HEAVY)
    text = b"monitors:\n  m: {host: {}}\n  b: {browser: 'https://a.example'}\n  c: {docker: web}\n"
    with pytest.raises(InvalidInput) as refused:
        planning.plan_reading(command("me"), read_body(text), planning.Terms("file", "f"))
    told = " ".join(str(one) for one in refused.value.diagnostics)
    assert "mainstay[host]" in told
    assert "mainstay[browser]" in told
    assert "`c`" not in told


def test_a_picture_of_a_page_is_shown_as_one_and_stays_out_of_the_journal() -> None:
    picture = "data:image/jpeg;base64," + "A" * 30_000
    sample = Sample(
        uid="m",
        at=1.0,
        verdict="down",
        duration=1.0,
        charge="down",
        charged=0,
        evidence={"screenshot": picture, "a": 1},
    )
    shown = found(sample)
    assert (shown.picture, shown.facts, shown.excerpt) == (picture, [("A", "1")], "")
    told = finding_of(CheckResult(uid="m", at=1.0, verdict="down", evidence={"screenshot": picture}))
    assert told.evidence["screenshot"] == "(a screenshot, kept with the result)"


def test_the_command_runs_every_kind_that_a_prober_can() -> None:
    plugin = make_order("plugin", "check_load -w 10", [], [], "5s")
    assert plugin.options["target"] == {"command": ["check_load", "-w", "10"]}
    assert (address_of(plugin), address_of(make_order("host", None, [], [], "5s"))) == ("check_load -w 10", "host")
    assert make_order("docker", "web", [], ["health=required"], "5s").options["expect"] == {"health": "required"}
    for wrong, says in (("group", "not a kind of check"), ("promql", "needs a target")):
        with pytest.raises(UserError, match=says):
            make_order(wrong, "a" if wrong == "group" else None, [], [], "5s")

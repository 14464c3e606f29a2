"""The check `build` against servers on loopback that answer as the providers' documents say."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError
from tests.rigs.check_servers import context_with, free_port, run_check, tcp_server
from tests.rigs.http_servers import answer, by_path

from mainstay.integrations.checks.build.providers import Build
from mainstay.integrations.checks.build.run import judge
from mainstay.integrations.checks.build.spec import KIND, BuildTarget
from mainstay.kernel.probing import CheckResult


def iso(ago: float) -> str:
    return datetime.fromtimestamp(time.time() - ago, UTC).isoformat().replace("+00:00", "Z")


def vercel(*states: tuple[str, float]) -> Any:
    found = [
        {
            "uid": f"dpl_{at}",
            "url": "shop-1.vercel.app",
            "createdAt": int((time.time() - ago) * 1000),
            "readyState": state,
        }
        for at, (state, ago) in enumerate(states)
    ]
    return {"deployments": found, "pagination": {"count": len(found), "next": None, "prev": None}}


def netlify(*states: tuple[str, float]) -> Any:
    return [
        {"id": f"d{at}", "state": state, "created_at": iso(ago), "title": "Fix it", "error_message": None}
        for at, (state, ago) in enumerate(states)
    ]


def railway(*states: tuple[str, float]) -> Any:
    found = enumerate(states)
    nodes = [{"node": {"id": f"r{at}", "status": state, "createdAt": iso(ago)}} for at, (state, ago) in found]
    return {"data": {"deployments": {"edges": nodes}}}


def github(*states: tuple[str, float]) -> Any:
    runs = []
    for number, (state, ago) in enumerate(states):
        done = state not in ("queued", "in_progress")
        status = {"status": "completed", "conclusion": state} if done else {"status": state, "conclusion": None}
        runs.append({"name": "tests", "run_number": 9 - number, "run_started_at": iso(ago), **status})
    return {"total_count": len(runs), "workflow_runs": runs}


def own(*states: tuple[str, float]) -> Any:
    return {"build": {"status": states[0][0], "at": iso(states[0][1])}}


PROVIDERS: dict[str, tuple[Any, dict[str, Any], str]] = {
    "vercel": (
        vercel,
        {"project": "prj_1", "environment": "production", "team": "team_1"},
        "/v7/deployments?projectId=prj_1&limit=20&target=production&teamId=team_1",
    ),
    "netlify": (netlify, {"project": "site", "branch": "main"}, "/sites/site/deploys?per_page=20&branch=main"),
    "railway": (railway, {"project": "p", "service": "s"}, "/"),
    "github": (
        github,
        {"project": "acme/shop", "workflow": "tests.yml"},
        "/repos/acme/shop/actions/workflows/tests.yml/runs?per_page=20",
    ),
    "json": (own, {"state": "$.build.status", "began": "$.build.at"}, "/"),
}
WORDS = {
    "vercel": ("READY", "ERROR", "BUILDING", "CANCELED"),
    "netlify": ("ready", "error", "enqueued", "rejected"),
    "railway": ("SUCCESS", "FAILED", "QUEUED", "SKIPPED"),
    "github": ("success", "failure", "queued", "cancelled"),
    "json": ("Success", "failed", "waiting", ""),
}


def ask(provider: str, said: Any, status: str = "200 OK", seen: Any = None, **more: Any) -> CheckResult:
    _, target, path = PROVIDERS[provider]
    body = said if isinstance(said, bytes) else json.dumps(said).encode()
    with tcp_server(by_path({path: answer(body, status)}, seen)) as port:
        document = {"provider": provider, "url": f"http://127.0.0.1:{port}/", **target, **more}
        return run_check("build", document, {"within": "10m"}, context=context_with())


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_newest_build_decides(provider: str) -> None:
    made, (good, bad, waiting, aside) = PROVIDERS[provider][0], WORDS[provider]
    assert ask(provider, made((good, 60))).verdict == "up"
    failed = ask(provider, made((bad, 60), (good, 900)))
    assert (failed.verdict, failed.code) == ("down", "expect.build_failed")
    assert bad in failed.message
    slow = ask(provider, made((waiting, 1200), (good, 9000)))
    assert (slow.verdict, slow.code) == ("degraded", "expect.build_slow")
    assert f"is {waiting} for 20m" in slow.message
    if provider == "json":
        assert ask(provider, made((waiting, 60))).code == "expect.no_build"
        return
    assert ask(provider, made((waiting, 60), (good, 900))).verdict == "up"
    assert ask(provider, made((waiting, 60), (bad, 900))).verdict == "down"
    assert ask(provider, made((aside, 60), (good, 900))).verdict == "up"
    assert ask(provider, made((aside, 60))).verdict == "unknown"
    assert ask(provider, made()).verdict == "unknown"


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    ("said", "status", "code"),
    [
        (b"{}", "401 Unauthorized", "check.credentials"),
        (b"{}", "404 Not Found", "check.credentials"),
        (b"{}", "429 Too Many Requests", "wait.refused"),
        (b"{}", "503 Service Unavailable", "wait.refused"),
        (b"<html>", "200 OK", "wait.malformed"),
        (b'{"deployments": [3], "workflow_runs": {}, "data": null}', "200 OK", "wait.malformed"),
        (b"null", "200 OK", "wait.malformed"),
    ],
)
def test_an_api_that_cannot_be_asked_says_nothing_of_the_project(
    provider: str, said: bytes, status: str, code: str
) -> None:
    result = ask(provider, said, status)
    assert (result.verdict, result.code) == ("unknown", code), result.message


def test_a_closed_port_is_unknown_and_graphql_errors_are_told() -> None:
    target = {"provider": "vercel", "project": "p", "url": f"http://127.0.0.1:{free_port()}"}
    assert run_check("build", target, context=context_with()).verdict == "unknown"
    refused = ask("railway", {"errors": [{"message": "Not Authorized"}]})
    assert (refused.verdict, refused.message) == ("unknown", "the API says: Not Authorized")


def test_what_is_sent() -> None:
    seen: list[tuple[str, dict[str, str], bytes]] = []
    ask("railway", railway(("SUCCESS", 1)), seen=seen, environment="e", token="sesame", headers={"X-Team": "one"})
    line, headers, body = seen[0]
    assert line.startswith("POST / ")
    assert (headers["authorization"], headers["x-team"]) == ("Bearer sesame", "one")
    variables = json.loads(body)["variables"]
    assert variables == {"input": {"projectId": "p", "serviceId": "s", "environmentId": "e"}, "first": 20}
    assert KIND.address(BuildTarget(provider="github", project="acme/shop")) == (
        "https://api.github.com/repos/acme/shop/actions/runs?per_page=20"
    )


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ({"provider": "vercel"}, "needs a `project`"),
        ({"provider": "github", "project": "shop"}, "owner/name"),
        ({"provider": "railway", "project": "p"}, "needs the `service`"),
        ({"provider": "json"}, "needs the `url`"),
        ({"provider": "json", "url": "https://x.example", "state": "state"}, "JSON path"),
        ({"provider": "vercel", "project": "p?x=1"}, "pattern"),
    ],
)
def test_mistakes_are_told(target: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        BuildTarget.model_validate(target)


def test_a_build_without_a_time_is_never_slow() -> None:
    found = judge([Build("under way", "QUEUED"), Build("good", "READY")], 1.0, time.time(), {})
    assert found.verdict == "up"

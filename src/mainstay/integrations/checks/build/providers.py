"""What each provider is asked, and how its answer is read: the newest builds, newest first.

Formats: https://vercel.com/docs/rest-api (deployments), https://open-api.netlify.com (listSiteDeploys),
https://docs.railway.com/reference/public-api (deployments), https://docs.github.com/rest/actions/workflow-runs.
States that a provider adds later count as under way.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote, urlencode

from mainstay.kernel.jsonpath import NoSuchValue, find, parse_path

if TYPE_CHECKING:
    from collections.abc import Mapping

Outcome = Literal["good", "bad", "under way", "set aside"]
LOOKED_AT = 20  # builds of an answer
URLS = {
    "vercel": "https://api.vercel.com",
    "netlify": "https://api.netlify.com/api/v1",
    "railway": "https://backboard.railway.com/graphql/v2",
    "github": "https://api.github.com",
}
_OUTCOMES: dict[str, dict[str, Outcome]] = {
    "vercel": {"READY": "good", "ERROR": "bad", "CANCELED": "set aside", "DELETED": "set aside"},
    "netlify": {"ready": "good", "error": "bad", "rejected": "set aside"},
    "railway": {
        "SUCCESS": "good",
        "SLEEPING": "good",
        "FAILED": "bad",
        "CRASHED": "bad",
        **dict.fromkeys(("SKIPPED", "REMOVING", "REMOVED"), "set aside"),
    },
    "github": {
        "success": "good",
        **dict.fromkeys(("failure", "timed_out", "startup_failure"), "bad"),
        **dict.fromkeys(("neutral", "cancelled", "skipped", "stale"), "set aside"),
    },
}
_RAILWAY = (
    "query newest($input: DeploymentListInput!, $first: Int) { deployments(input: $input, first: $first) "
    "{ edges { node { id status createdAt url } } } }"
)


class Unreadable(Exception):
    """The answer is not what the provider's documents promise; the text is for a person."""


@dataclass(frozen=True, slots=True)
class Build:
    """`began` in epoch seconds; None where the provider does not tell."""

    outcome: Outcome
    state: str
    began: float | None = None
    name: str = ""
    message: str = ""


def request_of(target: Mapping[str, Any]) -> dict[str, Any]:
    """The request as the check kind `http` has it, without how to sign in."""
    provider = str(target["provider"])
    base = str(target.get("url") or URLS.get(provider, "")).rstrip("/")
    project, branch = quote(str(target.get("project", "")), safe="/"), target.get("branch", "")
    if provider == "json":
        return {"url": str(target["url"])}
    if provider == "railway":
        wanted = {"projectId": target["project"], "serviceId": target.get("service", "")}
        wanted |= {"environmentId": target["environment"]} if target.get("environment") else {}
        variables = {"input": wanted, "first": LOOKED_AT}
        return {"url": base, "method": "POST", "json": {"query": _RAILWAY, "variables": variables}}
    if provider == "vercel":
        more = {"target": target.get("environment"), "branch": branch, "teamId": target.get("team")}
        path = "/v7/deployments"
        query = {"projectId": target["project"], "limit": LOOKED_AT, **more}
    elif provider == "netlify":
        path, query = f"/sites/{project}/deploys", {"per_page": LOOKED_AT, "branch": branch}
    else:
        workflow = f"/workflows/{quote(str(target['workflow']), safe='')}" if target.get("workflow") else ""
        path, query = f"/repos/{project}/actions{workflow}/runs", {"per_page": LOOKED_AT, "branch": branch}
    return {"url": f"{base}{path}?{urlencode({name: value for name, value in query.items() if value})}"}


def read(target: Mapping[str, Any], document: Any) -> list[Build]:
    """Raises Unreadable."""
    provider = str(target["provider"])
    try:
        if provider == "json":
            return [_own(target, document)]
        return [_build(provider, one) for one in _listed(provider, document)][:LOOKED_AT]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise Unreadable(f"the answer is not as documented: {type(error).__name__}") from None


def _listed(provider: str, document: Any) -> list[dict[str, Any]]:
    if provider == "netlify":
        found = document if isinstance(document, list) else document["deploys"]
    elif provider == "vercel":
        found = document["deployments"]
    elif provider == "github":
        found = document["workflow_runs"]
    elif document.get("errors"):
        raise Unreadable(f"the API says: {str(document['errors'][0].get('message', ''))[:200]}")
    else:
        found = [edge["node"] for edge in document["data"]["deployments"]["edges"]]
    if not isinstance(found, list):
        raise TypeError("a list was expected")
    return found


def _build(provider: str, one: dict[str, Any]) -> Build:
    if provider == "vercel":
        state, began = one.get("readyState") or one["state"], _moment(one.get("createdAt") or one.get("created"))
        named, message = one.get("url"), one.get("errorMessage")
    elif provider == "netlify":
        state, began, named = one["state"], _moment(one.get("created_at")), one.get("title") or one.get("id")
        message = one.get("error_message")
    elif provider == "railway":
        state, began, named, message = one["status"], _moment(one.get("createdAt")), one.get("id"), None
    else:
        state = one["conclusion"] if one["status"] == "completed" else one["status"]
        began = _moment(one.get("run_started_at") or one.get("created_at"))
        named, message = f"{one.get('name') or 'run'} #{one.get('run_number', '')}", one.get("display_title")
    outcome = _OUTCOMES[provider].get(str(state), "under way")
    if provider == "netlify" and one.get("skipped"):
        outcome = "set aside"
    return Build(outcome, str(state)[:60], began, str(named or "")[:200], str(message or "")[:300])


def _own(target: Mapping[str, Any], document: Any) -> Build:
    try:
        state = str(find(document, parse_path(str(target.get("state") or "$.state"))))
        began = _moment(find(document, parse_path(str(target["began"])))) if target.get("began") else None
    except NoSuchValue as error:
        raise Unreadable(str(error)) from None
    word = state.lower()
    good = target.get("succeeded") or ("success", "succeeded", "ready", "passed")
    bad = target.get("failed") or ("error", "failed", "failure", "crashed")
    if word in {str(one).lower() for one in good}:
        return Build("good", state[:60], began)
    return Build("bad" if word in {str(one).lower() for one in bad} else "under way", state[:60], began)


def _moment(value: Any) -> float | None:
    """Epoch seconds of milliseconds (Vercel), seconds, or RFC 3339."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value / 1000 if value > 1e11 else float(value)
    if not isinstance(value, str):
        return None
    moment = datetime.fromisoformat(value)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()

"""Healthchecks (hosted, self-hosted or compatible): checks and channels over its management API, version 3.

https://healthchecks.io/docs/api/ - the uuids are kept, so pings go on after the host name alone has changed.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

from mainstay.foreign.importing.draft import Draft
from mainstay.foreign.importing.senders import APPRISE, plain
from mainstay.foreign.importing.source import Node, bounded, carry, leave, root
from mainstay.kernel.diagnostics import Place
from mainstay.kernel.errors import Refused, Unavailable, UserError
from mainstay.kernel.schedule import check_calendar, check_cron, is_cron
from mainstay.kernel.timespan import format_duration

_TIMEOUT = 30.0
_LIMIT = 50_000_000
_RESULTS = "a result or a generated address, not a setting"
_KEYWORDS = {"start_kw": "start", "success_kw": "success", "failure_kw": "failure"}
_FILTERS = {
    "filter_subject": "subject",
    "filter_body": "body",
    "filter_http_body": "http_body",
    "filter_default_fail": "default_fail",
}


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the key to another place."""

    def redirect_request(self, *_arguments: Any, **_named: Any) -> None:
        return None


def read_healthchecks(url: str, key: str) -> Node:
    """Everything that the key may see. Raises Refused or Unavailable; the key is in no message."""
    base = url.rstrip("/")
    if not base.lower().startswith(("http://", "https://")):
        raise UserError("--url must begin with http:// or https://", hint="such as https://healthchecks.io")
    base = base.removesuffix("/api/v3")
    data = {
        "checks": _fetch(f"{base}/api/v3/checks/", key).get("checks"),
        "channels": _fetch(f"{base}/api/v3/channels/", key).get("channels"),
    }
    if not isinstance(data["checks"], list) or not isinstance(data["channels"], list):
        raise Refused(f"{base} does not answer as Healthchecks does", hint="give the address without /api")
    return root("healthchecks", data, lambda _path: Place(base))


def _fetch(url: str, key: str) -> dict[str, Any]:
    request = urllib.request.Request(url, headers={"X-Api-Key": key, "Accept": "application/json"})  # noqa: S310
    opener = urllib.request.build_opener(_NoRedirects)
    try:
        with opener.open(request, timeout=_TIMEOUT) as answer:
            raw = answer.read(_LIMIT + 1)
    except urllib.error.HTTPError as error:
        with error:
            hint = "is it a key of the project, and not the ping key?" if error.code in (401, 403) else ""
            raise Refused(f"{url} answered {error.code} {error.reason}", hint=hint) from None
    except (OSError, ValueError) as error:
        raise Unavailable(f"{url} cannot be reached: {error}") from None
    if len(raw) > _LIMIT:
        raise Refused(f"{url} answered with more than {_LIMIT // 1_000_000} MB")
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        raise Refused(f"{url} does not answer with JSON", hint="give the address without /api") from None
    return found if isinstance(found, dict) else {}


def import_healthchecks(found: Node, draft: Draft) -> None:
    made = ((channel.text("id"), _channel(channel, draft)) for channel in found.entries("channels"))
    channels = {identity: name for identity, name in made if name}
    for check in found.entries("checks"):
        _check(check, draft, channels)


def _channel(node: Node, draft: Draft) -> str:
    """Integrations are told without their addresses, so all of it must be given anew."""
    kind, written = node.text("kind"), node.text("name")
    name = draft.name("channel", written or kind, f"{kind}-{written}" if written else kind)
    to = f"channels.{name}"
    what = f"{name}_url"
    needed = "the API does not return it: look it up under Integrations"
    document: dict[str, Any]
    if kind == "email":
        address = draft.secret(node, f"{name}_address", f"the e-mail address; {needed}", f"\0{name}")
        document = {"email": {"to": [address]}}
    elif kind == "slack":
        document = {"slack": {"url": draft.secret(node, what, f"the webhook's URL; {needed}", f"\0{name}")}}
    elif kind in ("pd", "pagertree"):
        document = {"pagerduty": {"routing_key": draft.secret(node, f"{name}_key", needed, f"\0{name}")}}
    elif kind == "webhook":
        document = {"webhook": {"url": draft.secret(node, what, f"the address; {needed}", f"\0{name}")}}
    elif how := _APPRISE.get(kind) or APPRISE.get(plain(kind), ""):
        document = {"apprise": draft.secret(node, what, f"a URL of Apprise: {how}; {needed}", f"\0{name}")}
    else:
        node.left(f"Mainstay has no channel for {kind[:40]}")
        return ""
    for key in ("kind", "name"):
        found = node.get(key)
        if found is not None:
            found.approximated(to, "its settings must be entered again; the API does not return them")
    leave(node, "channels are known by their names", "id")
    draft.add("channel", name, document, node)
    return name


_APPRISE = {
    "po": "pover://<user key>@<application token>",
    "sms": "a URL of the service that sends it",
    "whatsapp": "whatsapp://<token>@<phone id>/<to>",
    "msteamsw": "the workflow's URL as it stands there",
    "spike": "spike://<token>",
    "victorops": "splunk://<routing key>@<entity>",
    "call": "a URL of the service that calls",
}


def _check(node: Node, draft: Draft, channels: dict[str, str]) -> None:
    uuid, slug, written = node.text("uuid"), node.text("slug"), node.text("name")
    name = draft.name("heartbeat", written or slug, slug, f"{slug}-{uuid[:8]}" if slug else f"check-{uuid[:8]}")
    to = f"heartbeats.{name}"
    document: dict[str, Any] = {"title": written[:100]} if written and written != name else {}
    carry(node.get("name"), f"{to}.title" if document else to)
    if not _rhythm(node, document, to):
        return
    for key in ("uuid", "slug"):
        value = node.get(key)
        if value is not None:
            document |= {key: value.value} if value.value else {}
            value.carried(f"{to}.{key}")
    leave(node, "a read-only key does not show the uuid; the address changes", "unique_key")
    _words(node, document, to)
    if (tags := node.get("tags")) is not None:
        document |= {"tags": tags.as_text().split()} if tags.as_text().split() else {}
        tags.carried(f"{to}.tags")
    if (about := node.get("desc")) is not None:
        document |= {"description": about.value} if about.value else {}
        about.carried(f"{to}.description")
    status = node.get("status")
    if status is not None and status.value == "paused":
        document["begins_paused"] = True
        status.carried(f"{to}.begins_paused")
    leave(node, _RESULTS, "n_pings", "last_ping", "next_ping", "last_duration", "started", "badge_url", "ping_url",
          "update_url", "pause_url", "resume_url")  # fmt: skip
    if status is not None and status.value != "paused":
        status.left(_RESULTS)
    draft.add("heartbeat", name, document, node)
    _tell(node, draft, name, channels, to)


def _rhythm(node: Node, document: dict[str, Any], to: str) -> bool:
    schedule, period, grace = node.get("schedule"), node.get("timeout"), node.get("grace")
    if schedule is not None:
        written = schedule.as_text().strip()
        key = "cron" if is_cron(written) else "on_calendar"
        try:
            document[key] = check_cron(written) if key == "cron" else check_calendar(written)
        except ValueError as error:
            node.left(f"its schedule cannot be read: {error}")
            return False
        schedule.carried(f"{to}.{key}")
        zone = node.text("tz")
        document |= {"timezone": zone} if zone not in ("", "UTC") else {}
        carry(node.get("tz"), f"{to}.timezone")
    else:
        seconds = period.as_number() if period is not None else None
        document["every"] = (
            bounded(period, seconds, 1, 366 * 86_400, f"{to}.every") if period is not None and seconds else "1d"
        )
    late = grace.as_number() if grace is not None else None
    if grace is not None and late is not None:
        document["grace"] = bounded(grace, late, 1, 366 * 86_400, f"{to}.grace")
    else:
        document["grace"] = format_duration(3600)
    return True


def _words(node: Node, document: dict[str, Any], to: str) -> None:
    methods, manual = node.get("methods"), node.get("manual_resume")
    if methods is not None:
        document |= {"methods": "POST"} if methods.value == "POST" else {}
        methods.carried(f"{to}.methods")
    if manual is not None:
        document |= {"manual_resume": True} if manual.is_on else {}
        manual.carried(f"{to}.manual_resume")
    keywords: dict[str, Any] = {}
    for theirs, ours in _KEYWORDS.items():
        if (found := node.get(theirs)) is not None:
            keywords |= {ours: found.as_text()} if found.value else {}
            found.carried(f"{to}.keywords.{ours}")
    for theirs, ours in _FILTERS.items():
        if (found := node.get(theirs)) is not None:
            keywords |= {ours: True} if found.is_on else {}
            found.carried(f"{to}.keywords.{ours}")
    leave(node, "the older names of success_kw and failure_kw", "subject", "subject_fail")
    if keywords:
        document["keywords"] = keywords


def _tell(node: Node, draft: Draft, name: str, channels: dict[str, str], to: str) -> None:
    chosen = node.get("channels")
    if chosen is None:
        return
    wanted = [identity.strip() for identity in chosen.as_text().split(",") if identity.strip()]
    known = [channels[identity] for identity in wanted if identity in channels]
    draft.tell("heartbeat", name, known)
    if len(known) == len(wanted):
        chosen.carried(f"{to}.labels")
    else:
        chosen.approximated(f"{to}.labels", "some of its integrations are not imported")

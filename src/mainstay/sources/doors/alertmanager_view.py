"""What Alertmanager's API shows: alerts with their status, groups, receivers; filtered and sorted as there."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cmp_to_key
from typing import Any

from starlette.datastructures import QueryParams

from mainstay import __version__
from mainstay.alerting.queries import channels_told, routings_of
from mainstay.alerting.routing import Routing
from mainstay.kernel.clock import to_iso
from mainstay.kernel.matchers import Matcher, parse_matcher
from mainstay.kernel.patterns import BadPattern, Pattern, compile_pattern, fits
from mainstay.sources.queries import Outside, open_alerts
from mainstay.sources.rules import RESOLVE_TIMEOUT
from mainstay.sources.silences import silenced_by, silences

_TRUE = frozenset(("1", "t", "true", "y", "yes", "on", "ok", "checked", "selected", "enabled"))
_MATCHERS = 40
VERSION = "0.28.0"  # of the API as it is answered here; amtool and Grafana go by it


class BadQuery(ValueError):
    """A filter or a receiver that cannot be read, in the words of the original."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a client wants to see."""

    matchers: tuple[Matcher, ...] = ()
    receiver: Pattern | None = None
    active: bool = True
    silenced: bool = True
    inhibited: bool = True
    muted: bool = True

    @classmethod
    def of(cls, query: QueryParams) -> Asked:
        def said(name: str) -> bool:
            return (query.get(name) or "true").lower() in _TRUE

        pattern = query.get("receiver", "")
        try:
            receiver = compile_pattern(f"^(?:{pattern})$") if pattern else None
        except BadPattern as error:
            raise BadQuery(f"failed to parse receiver param: {_in_go(pattern, error)}") from None
        matchers = tuple(_matcher(text) for text in query.getlist("filter")[:_MATCHERS])
        return cls(matchers, receiver, said("active"), said("silenced"), said("inhibited"), said("muted"))

    def wants(self, shown: dict[str, Any]) -> bool:
        status = shown["status"]
        if (
            (status["state"] == "active" and not self.active)
            or (status["silencedBy"] and not self.silenced)
            or (status["inhibitedBy"] and not self.inhibited)
        ):
            return False
        if self.receiver is not None and not any(fits(self.receiver, one["name"]) for one in shown["receivers"]):
            return False
        return all(matcher.matches(shown["labels"]) for matcher in self.matchers)


def _matcher(text: str) -> Matcher:
    try:
        return parse_matcher(text)
    except BadPattern as error:
        raise BadQuery(_in_go(text.partition("~")[2].strip().strip('"'), error)) from None
    except ValueError:
        raise BadQuery(f"bad matcher format: {text[:200]}") from None


def _in_go(pattern: str, error: BadPattern) -> str:
    why = str(error).partition("expression: ")[2].partition(":")[0] or str(error)
    return f"error parsing regexp: {why.replace('missing )', 'missing closing )')}: `^(?:{pattern})$`"


def listing(asked: Asked, limits: Sequence[str], now: float) -> list[dict[str, Any]]:
    """GET /alerts: by fingerprint."""
    return [shown for shown, _ in _shown(limits, now) if asked.wants(shown)]


def groups(asked: Asked, limits: Sequence[str], now: float) -> list[dict[str, Any]]:
    """GET /alerts/groups: by what their routes group by, and receiver; without groups by receiver alone."""
    found: dict[tuple[tuple[tuple[str, str], ...], str, str], list[dict[str, Any]]] = {}
    for shown, routing in _shown(limits, now):
        if not asked.wants(shown):
            continue
        for leaf in routing.leaves:
            labels = tuple(sorted(leaf.group(shown["labels"]).items()))
            for receiver in leaf.to:
                if asked.receiver is None or fits(asked.receiver, receiver):
                    found.setdefault((labels, receiver, leaf.path), []).append(shown)
    listed: list[dict[str, Any]] = [
        {"alerts": sorted(alerts, key=_in_group), "labels": dict(labels), "receiver": {"name": receiver}}
        for (labels, receiver, _path), alerts in found.items()
    ]
    return sorted(listed, key=lambda one: (_by_labels(one), one["receiver"]["name"]))


def _before(one: dict[str, Any], other: dict[str, Any]) -> int:
    """How alerts of a group are sorted (`types.AlertSlice`): by job and instance, who has none last; then by labels."""
    left, right = one["labels"], other["labels"]
    for name in ("job", "instance"):
        if (name in left) != (name in right):
            return -1 if name in left else 1
        if left.get(name) != right.get(name):
            return -1 if left[name] < right[name] else 1
    return _labels_before(one, other)


def _labels_before(one: dict[str, Any], other: dict[str, Any]) -> int:
    """Fewer labels first, then by the first that differs (`model.LabelSet.Before`)."""
    left, right = one["labels"], other["labels"]
    if len(left) != len(right):
        return len(left) - len(right)
    for name in sorted({*left, *right}):
        if left.get(name) != right.get(name):
            return -1 if name not in left or (name in right and left[name] < right[name]) else 1
    return 0


_in_group, _by_labels = cmp_to_key(_before), cmp_to_key(_labels_before)


def receivers(limits: Sequence[str]) -> list[dict[str, str]]:
    """GET /receivers; nothing for who sees a part of the alerts only."""
    return [] if limits else [{"name": name} for name in sorted(channels_told())]


def status(limits: Sequence[str], started: str) -> dict[str, Any]:
    """GET /status. The configuration is what amtool needs of one: routes are not written as Alertmanager's here."""
    names = [one["name"] for one in receivers(limits)] or ["none"]
    listed = "".join(f'- name: "{name}"\n' for name in names)
    return {
        "cluster": {"name": "", "peers": [], "status": "disabled"},
        "config": {"original": f'route:\n  receiver: "{names[0]}"\nreceivers:\n{listed}templates: []\n'},
        "uptime": started,
        "versionInfo": {
            "branch": "mainstay",
            "buildDate": "",
            "buildUser": "",
            "goVersion": f"python{platform.python_version()}",
            "revision": f"mainstay {__version__}",
            "version": VERSION,
        },
    }


def _shown(limits: Sequence[str], now: float) -> Iterator[tuple[dict[str, Any], Routing]]:
    found, quiet = open_alerts(limits), silences(now)
    routings = routings_of([one.alert.labels for one in found])
    for one, routing in zip(found, routings, strict=True):
        silenced = silenced_by(quiet, one.alert.labels) if quiet else []
        yield _alert(one, sorted(routing.channels), silenced, now), routing


def _alert(one: Outside, to: Sequence[str], silenced: list[str], now: float) -> dict[str, Any]:
    """gettableAlert. A mute counts as a silence, under the alert's own id."""
    alert, labels = one.alert, dict(sorted(one.labels.items()))
    muted = alert.aside or (alert.muted_until is not None and alert.muted_until > now)
    silenced = [*silenced, alert.id] if muted else silenced
    inhibited = [alert.suppressed_by] if alert.suppressed_by else []
    shown = {
        "annotations": dict(one.annotations),
        "endsAt": to_iso(now + RESOLVE_TIMEOUT if one.ends_at is None else one.ends_at),
        "fingerprint": one.fingerprint,
        "receivers": [{"name": name} for name in to],
        "startsAt": to_iso(alert.since),
        "status": {
            "inhibitedBy": inhibited,
            "mutedBy": [],
            "silencedBy": silenced,
            "state": "suppressed" if silenced or inhibited else "active",
        },
        "updatedAt": to_iso(one.updated_at),
    }
    return shown | ({"generatorURL": one.link} if one.link else {}) | {"labels": labels}

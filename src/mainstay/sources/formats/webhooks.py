"""Webhooks of Grafana (and Alertmanager), Healthchecks, Uptime Kuma and Gatus.

Healthchecks and Gatus let their users write the body: the documentation of this product says what to write.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mainstay.sources.formats.alertmanager import title
from mainstay.sources.formats.reading import (
    ALERTS_LIMIT,
    MESSAGE_LIMIT,
    TITLE_LIMIT,
    Batch,
    Malformed,
    decoded,
    end_of,
    label_name,
    labelled,
    mapping,
    moment,
    notes,
    plain,
    report_of,
    severity,
    unfit,
)
from mainstay.sources.rules import Order, Report, text

if TYPE_CHECKING:
    from mainstay.sources.spec import Target

_KUMA_UP, _KUMA_DOWN = 1, 0


def grafana(body: bytes, target: Target, now: float) -> Batch:
    """Also Alertmanager's webhook, which has the same shape."""
    alerts = mapping(decoded(body)).get("alerts")
    if not isinstance(alerts, list):
        raise Malformed("there is no list `alerts`, as Grafana's webhook has it")
    batch = Batch()
    for alert in alerts[:ALERTS_LIMIT]:
        sent = mapping(alert)
        said = {name: text(value) for name, value in mapping(sent.get("labels")).items()}
        labels = labelled(target, said, sent)
        if problem := unfit(labels):
            batch.problems.append(problem)
            continue
        batch.reports.append(_grafana_report(sent, labels, target, now))
    return batch


def _grafana_report(sent: dict[str, Any], labels: dict[str, str], target: Target, now: float) -> Report:
    named, starts_at = moment(sent.get("endsAt")), moment(sent.get("startsAt"))
    if sent.get("status") == "resolved":
        named = now if named is None else min(named, now)
    elif named is not None and named <= now:
        named = None
    ends_at, guessed = end_of(target, named, now)
    annotations = notes(mapping(sent.get("annotations")))
    more = {name: text(sent.get(name)) for name in ("dashboardURL", "panelURL", "silenceURL", "valueString")}
    return Report(
        labels=labels,
        severity=severity(target, labels.get("severity", ""), sent),
        starts_at=now if starts_at is None else min(starts_at, now),
        ends_at=ends_at,
        guessed=guessed,
        title=title(labels, annotations),
        message=plain(annotations.get("description") or annotations.get("message"), MESSAGE_LIMIT),
        annotations=annotations | notes({name: value for name, value in more.items() if value}),
        link=text(sent.get("generatorURL"))[:2000],
    )


def healthchecks(body: bytes, target: Target, now: float) -> Batch:
    """The placeholder $JSON, or an object with `name`, `status` and, as they are wanted, `code`, `tags`, `desc`."""
    sent = mapping(decoded(body))
    name = plain(sent.get("name") or sent.get("slug"), 200)
    key = text(sent.get("uuid") or sent.get("unique_key") or sent.get("code") or sent.get("slug") or name)[:500]
    status = text(sent.get("status")).lower()
    if not name or status not in ("up", "down", "new", "paused", "grace", "started"):
        raise Malformed("it needs `name`, and `status` with up or down, such as the placeholder $JSON has")
    if status != "down":
        return Batch([Order(key, "resolve")])
    labels = {"alertname": name, "check": name, "tags": sent.get("tags")}
    message = plain(sent.get("desc"), MESSAGE_LIMIT)
    return Batch([_keyed(target, sent, labels, now, key=key, title=f"{name} is down", message=message)])


def kuma(body: bytes, target: Target, now: float) -> Batch:
    sent = mapping(decoded(body))
    beat, monitor = mapping(sent.get("heartbeat")), mapping(sent.get("monitor"))
    if "msg" not in sent:
        raise Malformed("it is not what Uptime Kuma sends: `msg` is missing")
    if not beat or not monitor:  # a test, or a notice about a certificate
        return Batch()
    name, key = plain(monitor.get("name"), 200), text(monitor.get("id") or monitor.get("name"))[:500]
    if beat.get("status") != _KUMA_DOWN:
        return Batch([Order(key, "resolve")] if beat.get("status") == _KUMA_UP else [])
    tags = [mapping(tag) for tag in monitor.get("tags") or () if isinstance(tag, dict)][:40]
    labels = {label_name(text(tag.get("name"))): tag.get("value") or "true" for tag in tags if tag.get("name")}
    address = monitor.get("url") if text(monitor.get("url")) not in ("", "https://", "http://") else None
    labels |= {"alertname": name, "monitor": name, "type": monitor.get("type")}
    labels |= {"instance": address or monitor.get("hostname")}
    message = plain(beat.get("msg") or sent.get("msg"), MESSAGE_LIMIT)
    return Batch([_keyed(target, sent, labels, now, key=key, title=f"{name} is down", message=message)])


def gatus(body: bytes, target: Target, now: float) -> Batch:
    """An object with `name`, `group`, `status`, and as they are wanted `url`, `description` and `errors`."""
    sent = mapping(decoded(body))
    name, group = plain(sent.get("name"), 200), plain(sent.get("group"), 200)
    status = text(sent.get("status")).upper()
    if not name or status not in ("TRIGGERED", "RESOLVED"):
        raise Malformed("it needs `name`, and `status` with the placeholder [ALERT_TRIGGERED_OR_RESOLVED]")
    key = f"{group}/{name}"[:500]
    if status == "RESOLVED":
        return Batch([Order(key, "resolve")])
    labels = {"alertname": name, "endpoint": name, "group": group, "instance": sent.get("url")}
    message = plain(sent.get("errors") or sent.get("description"), MESSAGE_LIMIT)
    return Batch([_keyed(target, sent, labels, now, key=key, title=f"{name} is down", message=message)])


def _keyed(target: Target, sent: dict[str, Any], labels: dict[str, Any], now: float, **said: str) -> Report:
    ends_at, guessed = end_of(target, None, now)
    said["title"] = said["title"][:TITLE_LIMIT]
    word = sent.get("severity") or labels.get("severity")
    return report_of(target, sent, labels, word, starts_at=now, ends_at=ends_at, guessed=guessed, **said)

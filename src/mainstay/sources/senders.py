"""The exact lines that a sender of each kind needs, for the page of its source and for who has none yet."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, urlsplit

_KEY = "<the key of this source>"


@dataclass(frozen=True, slots=True)
class Lines:
    """`where`: the file or the form that they belong in."""

    where: str
    text: str


def lines_for(kind: str, name: str, base_url: str) -> Lines:
    """For a source of this kind and name; the server is reached at `base_url`."""
    hook = f"{base_url}/in/{quote(name)}"
    found = {
        "alertmanager": ("prometheus.yml", _prometheus(base_url)),
        "pagerduty": ("alertmanager.yml, or wherever a sender has PagerDuty's address", _pagerduty(base_url)),
        "opsgenie": ("alertmanager.yml, or wherever a sender has Opsgenie's address", _opsgenie(base_url)),
        "grafana": ("Grafana: Alerting, Contact points, Webhook", _form(hook, "Authorization header: Bearer")),
        "healthchecks": ("Healthchecks: Integrations, Webhook, for down and for up", _healthchecks(hook)),
        "kuma": ("Uptime Kuma: Notifications, Webhook, preset application/json", _kuma(hook)),
        "gatus": ("config.yaml of Gatus", _gatus(hook)),
        "cloudevents": ("a shell, or any client of CloudEvents", _cloudevents(hook)),
        "json": ("a shell, or any program", _curl(hook, "application/json", '\'{"service": "shop"}\'')),
        "email": ("whatever sends mail", f"{name}+{_KEY}@{urlsplit(base_url).hostname}"),
    }
    return Lines(*found.get(kind, ("", "")))


def _prometheus(base_url: str) -> str:
    parts = urlsplit(base_url)
    path = f"      path_prefix: {parts.path}\n" if parts.path else ""
    return f"""alerting:
  alertmanagers:
    - scheme: {parts.scheme}
{path}      # On another machine, an API token with the scope alerts:send:
      # authorization: {{credentials: mst_...}}
      static_configs: [{{targets: ["{parts.netloc}"]}}]"""


def _pagerduty(base_url: str) -> str:
    return f"""receivers:
  - name: mainstay
    pagerduty_configs:
      - url: {base_url}/v2/enqueue
        routing_key: {_KEY}"""


def _opsgenie(base_url: str) -> str:
    return f"""receivers:
  - name: mainstay
    opsgenie_configs:
      - api_url: {base_url}/
        api_key: {_KEY}"""


def _form(hook: str, auth: str) -> str:
    return f"URL: {hook}\n{auth} {_KEY}"


def _healthchecks(hook: str) -> str:
    return f"""POST {hook}
X-Key: {_KEY}
Content-Type: application/json

{{"name": "$NAME", "status": "$STATUS", "code": "$CODE", "tags": "$TAGS"}}"""


def _kuma(hook: str) -> str:
    return f'Post URL: {hook}\nAdditional headers: {{"X-Key": "{_KEY}"}}'


def _gatus(hook: str) -> str:
    body = """{"name": "[ENDPOINT_NAME]", "group": "[ENDPOINT_GROUP]", "url": "[ENDPOINT_URL]",
         "status": "[ALERT_TRIGGERED_OR_RESOLVED]", "errors": "[RESULT_ERRORS]"}"""
    return f"""alerting:
  custom:
    url: {hook}
    method: POST
    headers: {{X-Key: {_KEY}}}
    body: |
      {body}
    default-alert: {{send-on-resolved: true}}"""


def _cloudevents(hook: str) -> str:
    event = """'{"specversion": "1.0", "id": "1", "source": "/disks", "type": "disk.full", "subject": "sda"}'"""
    return _curl(hook, "application/cloudevents+json", event)


def _curl(hook: str, media: str, body: str) -> str:
    return f"curl -fsS {hook} -H 'X-Key: {_KEY}' \\\n  -H 'Content-Type: {media}' \\\n  -d {body}"

"""Notification services of other tools as channels. Addresses and keys of such services are secrets throughout.

Services without a channel of their own go through Apprise, whose URL holds all that is needed: the report says how
that URL is written from the values of the source.
"""

from __future__ import annotations

from typing import Any

from mainstay.foreign.importing.draft import Draft
from mainstay.foreign.importing.source import Node

OWN_WORDS = "Mainstay words its messages itself"

# How the value of the variable is written, by the name of a service as other tools write it (lower-case letters only).
APPRISE: dict[str, str] = {
    "alerta": "not an Apprise service",
    "bark": "barks://<server>/<device key>",
    "bluesky": "bluesky://<user>:<password>",
    "discord": "the webhook's URL as it stands there",
    "dingding": "dingtalk://<access token>",
    "feishu": "feishu://<access token>",
    "flashduty": "",
    "googlechat": "the webhook's URL as it stands there",
    "gchat": "the webhook's URL as it stands there",
    "gotify": "gotifys://<host>/<application token>",
    "homeassistant": "hassios://<host>/<access token>",
    "ifttt": "ifttt://<webhook key>@<event>",
    "ilert": "",
    "line": "line://<token>/<user>",
    "lunasea": "lunasea://<user token>",
    "matrix": "matrixs://<access token>@<host>/!<room>",
    "mattermost": "mmosts://<host>/<token at the end of the webhook's URL>",
    "messagebird": "msgbird://<access key>/<sender>/<recipient>",
    "msteams": "the webhook's URL as it stands there",
    "ntfy": "ntfys://<token>@<host>/<topic>, or the topic's URL as it stands there",
    "octopush": "octopush://<login>/<key>/<recipient>",
    "opsgenie": "opsgenie://<API key>",
    "prowl": "prowl://<API key>",
    "plivo": "plivo://<auth id>@<token>/<from>/<to>",
    "pushbullet": "pbul://<access token>",
    "pushdeer": "pushdeer://<key>",
    "pushed": "pushed://<key>/<secret>",
    "pushover": "pover://<user key>@<application token>",
    "pushy": "pushy://<API key>/<device token>",
    "rocketchat": "rockets://<webhook token>@<host>",
    "sendgrid": "sendgrid://<API key>:<from>/<to>",
    "serverchan": "schan://<send key>",
    "signal": "signals://<host>/<from>/<to>",
    "signl": "signl4://<team secret>",
    "smseagle": "smseagles://<token>@<host>/<to>",
    "splunk": "splunk://<routing key>@<entity>",
    "teams": "the webhook's URL as it stands there",
    "teamsworkflows": "the workflow's URL as it stands there",
    "telegram": "tgram://<bot token>/<chat id>",
    "twilio": "twilio://<account sid>:<token>@<from>/<to>",
    "vonage": "vonage://<key>:<secret>/<from>/<to>",
    "webex": "wxteams://<webhook token>",
    "wecom": "wecombot://<bot key>",
    "zulip": "zulip://<bot>@<organisation>/<token>/<stream>",
}


def plain(service: str) -> str:
    return "".join(sign for sign in service.lower() if sign.isalpha())


def webhook_channel(draft: Draft, node: Node, what: str, to: str) -> dict[str, Any]:
    """A POST of our JSON to an address of the source."""
    node.approximated(f"{to}.webhook.url", "Mainstay posts its own JSON to this address, see the reference")
    return {"webhook": {"url": draft.secret(node, f"{what}_url", "the webhook's URL as it stands there")}}


def slack_channel(draft: Draft, node: Node, what: str, to: str) -> dict[str, Any]:
    node.carried(f"{to}.slack.url", "the value is kept outside the file, see `secrets`")
    return {"slack": {"url": draft.secret(node, f"{what}_url", "the webhook's URL as it stands there")}}


def pagerduty_channel(draft: Draft, node: Node, what: str, to: str) -> dict[str, Any]:
    node.carried(f"{to}.pagerduty.routing_key", "the value is kept outside the file, see `secrets`")
    return {"pagerduty": {"routing_key": draft.secret(node, f"{what}_key", "the integration key as it stands there")}}


def apprise_channel(draft: Draft, service: str, node: Node, what: str, to: str) -> dict[str, Any] | None:
    """A channel through Apprise for the settings under `node`, which all go into its URL; None if it knows no such."""
    how = APPRISE.get(plain(service), "")
    if not how or how.startswith("no "):
        node.left(f"Mainstay has no channel for {service}; a webhook or Apprise may reach it")
        return None
    node.approximated(f"{to}.apprise", f"all of it goes into one Apprise URL, which is kept outside the file: {how}")
    marker = f"\0{what}"  # no value of the source stands for the whole URL
    return {"apprise": draft.secret(node, f"{what}_url", f"an Apprise URL built from these settings: {how}", marker)}


def addresses(node: Node) -> list[str]:
    """Mail addresses with commas or semicolons between them."""
    return [part.strip() for part in node.as_text().replace(";", ",").split(",") if part.strip()]


def email_channel(draft: Draft, fields: dict[str, Node | None], what: str, to: str) -> dict[str, Any] | None:
    """`fields`: to sender host port user password, as far as the source has them."""
    recipients = fields.get("to")
    if recipients is None:
        return None
    recipients.carried(f"{to}.email.to")
    email: dict[str, Any] = {"to": addresses(recipients)}
    if (sender := fields.get("sender")) is not None:
        written = sender.as_text()
        email["from"] = written.rpartition("<")[2].rstrip(">").strip()
        sender.carried(f"{to}.email.from")
    if (host := fields.get("host")) is not None:
        email["smtp"] = _server(draft, fields, host, what, to)
    return {"email": email}


def _server(draft: Draft, fields: dict[str, Node | None], host: Node, what: str, to: str) -> dict[str, Any]:
    smtp: dict[str, Any] = {"host": host.as_text().strip()}
    host.carried(f"{to}.email.smtp.host")
    port, user, password = fields.get("port"), fields.get("user"), fields.get("password")
    number = port.as_number() if port is not None else None
    if port is not None and number is not None:
        smtp["port"] = int(number)
        port.carried(f"{to}.email.smtp.port")
    smtp["security"] = "tls" if smtp.get("port") == 465 else "opportunistic"  # as mail libraries do unless told
    smtp.setdefault("port", 587)
    if user is not None and user.value != "" and password is not None and password.value != "":
        smtp["user"] = user.as_text()
        smtp["password"] = draft.secret(password, f"{what}_password", "the password as it stands there")
        user.carried(f"{to}.email.smtp.user")
        password.carried(f"{to}.email.smtp.password", "the value is kept outside the file, see `secrets`")
    return smtp

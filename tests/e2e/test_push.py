"""Notifications in a real browser: its service worker, what it shows, and its buttons. A browser of a test has no push
service to subscribe at; what one would hand over is given to the browser by its own tools."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connections
from test_accounts_pages import PASSWORD, Visitor
from tests.rigs.push_device import Device
from tests.rigs.receivers import declare, happen

from mainstay.accounts import verbs
from mainstay.alerting import links, queries
from mainstay.alerting.models import DeviceRow
from mainstay.kernel.actor import system

EMAIL = "lead@example.com"
_SHOWN = """async () => (await (await navigator.serviceWorker.ready).getNotifications())
  .map(({ title, body, tag, actions }) => ({ title, body, tag, actions: actions.map((one) => one.action) }))"""


@pytest.fixture
def visitor(site: Any, browser: Any) -> Iterator[Visitor]:
    cache.clear()
    verbs.accept_invitation(verbs.create_user(system("test"), EMAIL, "operations"), PASSWORD)
    declare("channel", "hook", {"webhook": {"url": "https://hooks.example.com/x"}})
    happen("monitor.went_down", "monitor/api")
    connections.close_all()
    found = Visitor(browser, site.address)
    found.page.context.grant_permissions(["notifications"], origin=site.address)
    found.page.goto("/accounts/login/?next=/account/")
    found.fill(login=EMAIL, password=PASSWORD)
    found.press("Sign in")
    found.page.goto("/account/")
    yield found
    connections.close_all()


def _push(visitor: Visitor, said: dict[str, Any]) -> None:
    """Hand a message to the service worker, as a push service would."""
    tools = visitor.page.context.new_cdp_session(visitor.page)
    versions: list[dict[str, Any]] = []
    tools.on("ServiceWorker.workerVersionUpdated", lambda event: versions.extend(event["versions"]))
    tools.send("ServiceWorker.enable")
    visitor.page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    origin = visitor.page.evaluate("location.origin")
    registration = versions[-1]["registrationId"]
    message = {"origin": origin, "registrationId": registration, "data": json.dumps(said)}
    tools.send("ServiceWorker.deliverPushMessage", message)


def _shown(visitor: Visitor, starts: str) -> dict[str, Any]:
    """The notification with such a title, once it is there."""
    there = f"(one) => one.title.startsWith({json.dumps(starts)})"
    found = visitor.page.evaluate(
        f"""async () => {{
          for (let left = 500; left > 0; left -= 1) {{
            const found = (await ({_SHOWN})()).find({there});
            if (found) return found;
            await new Promise((go) => setTimeout(go, 20));
          }}
          return null;
        }}"""
    )
    assert found, f"nothing that starts with {starts} is shown"
    return dict(found)


def test_the_button_registers_this_browser(visitor: Visitor) -> None:
    device = Device("https://push.example.com/of-this-browser")
    given = json.dumps(device.subscription())
    visitor.page.evaluate(f"PushManager.prototype.subscribe = async () => ({{ toJSON: () => ({given}) }})")
    visitor.picture("devices-none")
    visitor.page.get_by_role("button", name="Notify me on this device").click()
    visitor.page.wait_for_selector("[data-device]")
    visitor.picture("devices")
    assert [row.endpoint for row in DeviceRow.objects.all()] == [device.endpoint]
    assert visitor.page.evaluate("navigator.serviceWorker.ready.then((one) => one.scope)").endswith("/")
    visitor.press("Remove")
    assert not DeviceRow.objects.exists()
    assert visitor.complaints == []


def test_a_push_is_shown_and_its_button_acknowledges(visitor: Visitor) -> None:
    alert = queries.alerts()[0]
    token = links.acknowledge_token(alert.id, alert.opened_at)
    visitor.page.evaluate("navigator.serviceWorker.register('/service-worker.js').then(() => true)")
    base = "https://mainstay.example.com"  # by whatever name the page is opened
    said = {"title": "[P1] api is down", "body": "refused", "tag": alert.id, "firing": True, "open": f"{base}/alerts/"}
    _push(visitor, said | {"acknowledge": f"{base}/a/{token}"})
    shown = _shown(visitor, "[P1] api is down")
    assert (shown["body"], shown["tag"]) == ("refused", alert.id)
    assert shown["actions"] == ["acknowledge", "open"]
    worker = visitor.page.context.service_workers[0]
    worker.evaluate(
        """async () => {
          const [shown] = await self.registration.getNotifications();
          const click = { notification: shown, action: "acknowledge" };
          self.dispatchEvent(new NotificationEvent("notificationclick", click));
        }"""
    )
    _shown(visitor, "Acknowledged: [P1] api is down")
    assert queries.alert(alert.id).acknowledged_by == "link:message"


def test_the_page_can_be_installed(visitor: Visitor) -> None:
    tools = visitor.page.context.new_cdp_session(visitor.page)
    found = tools.send("Page.getAppManifest")
    assert found["errors"] == []
    manifest = json.loads(found["data"])
    for icon in manifest["icons"]:
        assert visitor.page.request.get(f"/static/{icon['src']}").ok
    hindrances = {one["errorId"] for one in tools.send("Page.getInstallabilityErrors")["installabilityErrors"]}
    assert hindrances <= {"in-incognito"}, "nothing but the test's own browser is in the way"

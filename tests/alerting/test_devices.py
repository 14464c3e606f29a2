"""Devices of people: switched on, paged, and forgotten when their push service knows them no more."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from tests.rigs.push_device import Device
from tests.rigs.receivers import Receiver, Reply, declare, happen, receiver

from mainstay.accounts.models import User
from mainstay.alerting import delivery, devices, timers
from mainstay.alerting.handover import hand_over
from mainstay.alerting.models import DeviceRow
from mainstay.alerting.rules import Failure
from mainstay.frames.boot import current_settings
from mainstay.kernel.actor import Actor, system
from mainstay.kernel.errors import Conflict, Forbidden, Refused, UserError
from mainstay.store.journal import entries

pytestmark = pytest.mark.usefixtures("store")
LEAD = Actor("user", "lead@example.com", frozenset({"alerts:read"}))
OTHER = Actor("user", "other@example.com", frozenset({"alerts:read"}))
LANE = system("delivery")


@pytest.fixture
def service() -> Iterator[Receiver]:
    for actor in (LEAD, OTHER):
        User.objects.create(email=actor.name, role="operations")
    with receiver() as running:
        yield running


def _told() -> list[str]:
    return [entry.kind for entry in entries(newest_first=False) if entry.kind.startswith("device.")]


def _page() -> delivery.Claim:
    """A page to the lead, by push, as the lane claims it."""
    declare("person", "lead", {"email": "Lead@example.com", "contact": [{"push": {}}]})
    declare("route", "all", {"to": ["person/lead"]})
    happen("monitor.went_down", "monitor/api")
    for timer in timers.TIMERS:
        for key in timers.due(LANE, timer):
            timers.go_off(LANE, timer, key)
    return delivery.claim_due(LANE, current_settings(), delivery.Room(lambda *_: 1), 60)[0]


def _deliver(claim: delivery.Claim) -> Any:
    return hand_over(claim.spec, claim.message, current_settings(), 1_800_000_000.0, claim.devices)


def test_a_page_reaches_each_device_of_the_person_and_of_nobody_else(service: Receiver) -> None:
    mine, theirs = (Device(f"{service.url}/{name}") for name in ("mine", "theirs"))
    devices.add_device(LEAD, mine.subscription(), "Chrome on Android")
    devices.add_device(OTHER, theirs.subscription(), "Firefox")
    claim = _page()
    assert claim.channel == "person/lead/0"
    delivery.mark_delivered(LANE, claim, _deliver(claim))
    assert [request.path for request in service.requests] == ["/mine"]
    said = mine.read(service.requests[0])
    assert said["title"] == "[P1] api is down"
    assert "/a/" in said["acknowledge"]
    assert DeviceRow.objects.count() == 2


def test_devices_that_are_gone_are_forgotten(service: Receiver) -> None:
    gone, there = (Device(f"{service.url}/{name}") for name in ("gone", "there"))
    service.answer = lambda request: Reply(410 if request.path == "/gone" else 201)
    for device in (gone, there):
        devices.add_device(LEAD, device.subscription(), "a browser")
    claim = _page()
    delivery.mark_delivered(LANE, claim, _deliver(claim))
    assert [row.endpoint for row in devices.own_devices(LEAD)] == [there.endpoint]


def test_the_last_device_is_forgotten_with_the_message_that_nobody_took(service: Receiver) -> None:
    service.answer = lambda _: Reply(404)
    devices.add_device(LEAD, Device(service.url).subscription(), "a browser")
    claim = _page()
    with pytest.raises(Refused) as caught:
        _deliver(claim)
    delivery.mark_failed(LANE, claim, caught.value, Failure(None, "refused"))
    assert devices.own_devices(LEAD) == []
    assert _told() == ["device.added", "device.removed"]


def test_switching_on_twice_is_one_device_and_another_person_takes_it_over(service: Receiver) -> None:
    device = Device(service.url)
    assert len({devices.add_device(LEAD, device.subscription(), "x") for _ in range(2)}) == 1
    devices.add_device(OTHER, device.subscription(), "x")
    assert devices.own_devices(LEAD) == []
    key = devices.own_devices(OTHER)[0].id
    devices.remove_device(LEAD, key)  # not theirs
    assert len(devices.own_devices(OTHER)) == 1
    for _ in range(2):
        devices.remove_device(OTHER, key)
    assert _told() == ["device.added", "device.added", "device.removed"]


def test_only_people_who_may_see_alerts_have_devices_and_not_without_end(service: Receiver) -> None:
    for actor in (Actor("user", "lead@example.com"), Actor("token", "x", frozenset({"alerts:read"}))):
        with pytest.raises(Forbidden):
            devices.add_device(actor, Device(service.url).subscription(), "x")
    for number in range(devices.MOST):
        devices.add_device(LEAD, Device(f"{service.url}/{number}").subscription(), "x")
    with pytest.raises(Conflict, match="at most 20"):
        devices.add_device(LEAD, Device(f"{service.url}/more").subscription(), "x")


@pytest.mark.parametrize(
    "change",
    [
        {"endpoint": "http://push.example.com/x"},
        {"endpoint": "https://push.example.com/" + "x" * 1000},
        {"endpoint": "file:///etc/passwd"},
        {"endpoint": "https://[x"},
        {"endpoint": 5},
        {"keys": None},
        {"keys": {"p256dh": "AAAA", "auth": "AAAA"}},
        {"keys": {"p256dh": "\u00fc" * 87, "auth": []}},
    ],
)
def test_what_is_no_subscription_is_refused(service: Receiver, change: dict[str, Any]) -> None:
    with pytest.raises(UserError):
        devices.add_device(LEAD, Device(service.url).subscription() | change, "x")


def test_the_page_takes_the_subscription_of_this_browser(service: Receiver) -> None:
    client = Client(SERVER_NAME="127.0.0.1", SERVER_PORT="8800", HTTP_USER_AGENT="Mozilla/5.0 (Android) Chrome/140")
    assert client.get("/service-worker.js")["Content-Type"] == "text/javascript"
    client.force_login(User.objects.get(email=LEAD.name), backend="allauth.account.auth_backends.AuthenticationBackend")
    body = json.dumps(Device(service.url).subscription())
    key = client.post("/devices/add", body, content_type="application/json").json()["id"]
    assert client.post("/devices/add", "x" * 9000, content_type="application/json").status_code == 413
    assert client.post("/devices/add", "[", content_type="application/json").status_code == 400
    assert "Chrome on Android" in client.get("/account/").content.decode()
    assert client.post(f"/devices/{key}/remove").status_code == 302
    assert devices.own_devices(LEAD) == []

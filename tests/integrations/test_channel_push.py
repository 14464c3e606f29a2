"""Web push: each device gets its own, and those that are gone are named."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.rigs.channel_rigs import notification
from tests.rigs.push_device import Device
from tests.rigs.receivers import Receiver, Reply, Request, receiver

from mainstay.alerting.handover import hand_over
from mainstay.frames.boot import current_settings
from mainstay.kernel.errors import Refused, Unavailable
from mainstay.kernel.ports import Receipt
from mainstay.kernel.resource import KINDS

NOW = 1_800_000_000.0


@pytest.fixture
def service() -> Iterator[Receiver]:
    with receiver() as running:
        yield running


def _push(devices: list[Device], status: str = "firing", **alert: str) -> Receipt:
    spec = KINDS["channel"].validate({"push": {"accounts": ["lead@example.com"]}})
    rows = [device.row() for device in devices]
    return hand_over(spec, notification(status, **alert), current_settings(), NOW, rows)  # type: ignore[arg-type]


def test_only_the_device_reads_it_and_knows_who_sent_it(service: Receiver) -> None:
    devices = [Device(f"{service.url}/push/{name}", name) for name in ("phone", "desk")]
    assert _push(devices).detail == "accepted for 2 of 2 devices"
    for device, request in zip(devices, service.requests, strict=True):
        said = device.read(request)
        assert said["title"] == "[P1] api is down"
        assert said["acknowledge"] == "https://m.example.com/a/token?x=1&y=2"
        assert b"api" not in request.body
        assert device.claims(request) == {"aud": service.url, "exp": NOW + 12 * 3600, "sub": "mailto:lead@example.com"}
        assert (request.headers["urgency"], request.headers["ttl"]) == ("high", "3600")


def test_what_is_over_asks_for_nothing(service: Receiver) -> None:
    device = Device(f"{service.url}/push/1")
    _push([device], "resolved")
    assert device.read(service.requests[0]) | {"body": ""} == {
        "title": "Resolved: api is down",
        "body": "",
        "tag": "01alert",
        "firing": False,
        "open": "https://m.example.com/alerts/01alert/",
        "acknowledge": "",
    }


@pytest.mark.parametrize("summary", ["x" * 20_000, '"' * 20_000, "\N{PILE OF POO}" * 9000, ""])
def test_a_long_message_is_cut_to_what_push_services_take(service: Receiver, summary: str) -> None:
    device = Device(f"{service.url}/push/1")
    _push([device], summary=summary)
    assert len(device.read(service.requests[0])["body"]) < 1600


def test_devices_that_are_gone_are_named(service: Receiver) -> None:
    statuses = {"/old": 410, "/lost": 404, "/new": 201}
    service.answer = lambda request: Reply(statuses[request.path])
    devices = [Device(service.url + path, path) for path in statuses]
    assert _push(devices).data == {"gone": ["/old", "/lost"]}
    with pytest.raises(Refused, match="no device receives") as caught:
        _push(devices[:2])
    assert caught.value.gone == ("/old", "/lost")


def test_one_device_that_takes_it_is_enough_and_one_that_might_is_tried_again(service: Receiver) -> None:
    def answer(request: Request) -> Reply:
        return Reply({"/busy": 503, "/bad": 400, "/good": 201}[request.path])

    service.answer = answer
    good, busy, bad = (Device(service.url + path) for path in ("/good", "/busy", "/bad"))
    assert _push([busy, bad, good]).detail == "accepted for 1 of 3 devices"
    with pytest.raises(Unavailable):
        _push([bad, busy])
    with pytest.raises(Refused, match="400"):
        _push([bad])
    with pytest.raises(Refused, match="no device is registered"):
        _push([])

"""The check `mqtt` against Mosquitto, and against brokers that misbehave."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from paho.mqtt import publish
from pydantic import ValidationError
from tests.rigs import misbehaving
from tests.rigs.check_servers import free_port, tcp_server, until_closed
from tests.rigs.order_rig import run_filled
from tests.rigs.real_servers import Certificates, answers, free_ports, program, running, short_folder, unprivileged

from mainstay.integrations.checks.mqtt import packets
from mainstay.integrations.checks.mqtt.spec import KIND

SECRETS = {"PASSWORD": "correct-horse", "OTHER": "guessed wrongly"}


@dataclass
class Broker:
    port: int
    tls: int
    open: int
    certificates: Certificates

    def target(self, **more: Any) -> dict[str, Any]:
        login = {"username": "oncall", "password": "${env:PASSWORD}"}
        return {"address": f"127.0.0.1:{self.port}", **login, **more}


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    certificates = Certificates(tmp_path_factory.mktemp("certificates"))
    port, tls, public = free_ports(3)
    user = unprivileged("mosquitto")
    with short_folder(user) as folder:
        for source in (certificates.certificate, certificates.key):
            shutil.copy(source, folder / source.name)
        subprocess.run(
            [program("mosquitto_passwd"), "-b", "-c", str(folder / "users"), "oncall", SECRETS["PASSWORD"]],
            check=True, capture_output=True,
        )  # fmt: skip
        (folder / "users").chmod(0o644)
        (folder / "acl").write_text("user oncall\ntopic readwrite shop/#\n")
        (folder / "conf").write_text(
            f"per_listener_settings true\nuser {user}\n"
            f"listener {port} 127.0.0.1\nallow_anonymous false\npassword_file {folder}/users\nacl_file {folder}/acl\n"
            f"listener {tls} 127.0.0.1\nallow_anonymous false\npassword_file {folder}/users\n"
            f"certfile {folder}/server.pem\nkeyfile {folder}/server.key\n"
            f"listener {public} 127.0.0.1\nallow_anonymous true\n"
        )
        arguments = [program("mosquitto"), "-c", str(folder / "conf")]
        with running(arguments, lambda: answers(port) and answers(public), folder / "log", user=user):
            publish.single("shop/state", "open until 18:00", retain=True, hostname="127.0.0.1", port=public)
            publish.single("shop/till/1", b"\xff" * 300, retain=True, qos=1, hostname="127.0.0.1", port=public)
            publish.single("shop/json", '{"open": true, "till": "3"}', retain=True, hostname="127.0.0.1", port=public)
            yield Broker(port, tls, public, certificates)


@pytest.mark.parametrize(
    ("target", "expect", "phases"),
    [
        ({}, {}, {"wait"}),
        ({"client_id": "watcher"}, {}, {"wait"}),
        ({"topic": "shop/#"}, {}, {"wait", "transfer"}),
        ({"topic": "shop/state"}, {"contains": "open"}, {"wait", "transfer"}),
        ({"topic": "shop/+"}, {"regex": r"until \d\d:\d\d$"}, {"wait", "transfer"}),
        ({"topic": "shop/json"}, {"json": {"$.open": True, "$.till": ">= 3"}}, {"wait", "transfer"}),
        ({"topic": "shop/+"}, {"json": {"$.open": True}, "contains": "till"}, {"wait", "transfer"}),
        ({"topic": "shop/echo", "send": "are you there?"}, {}, {"wait", "transfer"}),
        ({"topic": "shop/state", "send": "closed"}, {"contains": "closed"}, {"wait", "transfer"}),
    ],
)
def test_a_good_broker(broker: Broker, target: dict[str, Any], expect: dict[str, Any], phases: set[str]) -> None:
    result = run_filled("mqtt", broker.target(**target), expect, secrets=SECRETS)
    assert (result.verdict, result.code, result.message) == ("up", "", "")
    assert set(result.phases) == {"lookup", "connect"} | phases


def test_a_broker_that_is_open_to_everyone(broker: Broker) -> None:
    assert run_filled("mqtt", f"127.0.0.1:{broker.open}").verdict == "up"


@pytest.mark.parametrize(
    ("target", "expect", "verdict", "code", "says"),
    [
        ({"password": "${env:OTHER}"}, {}, "down", "expect.login", "not authorized (code 5)"),
        ({"username": None, "password": None}, {}, "down", "expect.login", "not authorized (code 5)"),
        ({"topic": "shop/state"}, {"contains": "moon"}, "down", "expect.contains", "`moon` is not in the 16 bytes"),
        (
            {"topic": "shop/json"},
            {"json": {"$.open": False}},
            "down",
            "expect.json",
            "$.open is true, expected == false",
        ),
        ({"topic": "shop/state"}, {"json": {"$.open": True}}, "down", "expect.json", "the message is not JSON"),
        ({"topic": "shop/silent"}, {"contains": "x"}, "down", "transfer.timeout", "a message did not arrive"),
        ({"topic": "other/x", "send": "y"}, {}, "down", "transfer.timeout", "a message did not arrive"),
        ({}, {"degraded_after": "0ms"}, "degraded", "expect.latency", "more than the 0 ms allowed"),
    ],
)
def test_what_is_not_as_expected(
    broker: Broker, target: dict[str, Any], expect: dict[str, Any], verdict: str, code: str, says: str
) -> None:
    result = run_filled("mqtt", broker.target(**target), expect, secrets=SECRETS, limit=0.5)
    assert (result.verdict, result.code) == (verdict, code), result.message
    assert says in result.message


def test_tls(broker: Broker) -> None:
    target = broker.target(address=f"127.0.0.1:{broker.tls}", tls=True, server_name="localhost")
    trusted = target | {"ca": broker.certificates.ca}
    good = run_filled("mqtt", trusted, secrets=SECRETS)
    assert good.verdict == "up", good.message
    stranger = run_filled("mqtt", target, secrets=SECRETS)
    assert (stranger.verdict, stranger.code) == ("down", "tls.untrusted")
    soon = run_filled("mqtt", trusted, {"certificate_days": 100}, secrets=SECRETS)
    assert (soon.verdict, soon.code) == ("degraded", "expect.days")
    plain = run_filled("mqtt", broker.target(tls=True), secrets=SECRETS, limit=1)
    assert plain.verdict == "down"
    assert plain.code.startswith("tls.")


YES = b"\x20\x02\0\0"


@pytest.mark.parametrize(
    ("serve", "code", "says"),
    [
        (until_closed, "wait.timeout", "the answer to the login did not arrive within 300 ms"),
        (misbehaving.closes_at_once, "wait.closed", "without sending anything"),
        (misbehaving.then_closes(b"\x20\x02\0"), "wait.closed", "in the middle of its answer"),
        (misbehaving.garbage, "wait.malformed", "not an MQTT broker"),
        (misbehaving.endless, "", ""),
        (misbehaving.zeros, "wait.malformed", "not an MQTT broker"),
        (misbehaving.web_server, "", ""),
        (misbehaving.says(b"\x20\xff\xff\xff\xff\x01"), "wait.malformed", "no length"),
        (misbehaving.says(b"\x20\xff\xff\xff\x7f"), "transfer.too_large", "268435455 bytes"),
        (misbehaving.says(b"\x20\x02\0\1"), "wait.refused", "does not speak MQTT 3.1.1 (code 1)"),
        (misbehaving.says(b"\x20\x02\0\3"), "wait.refused", "is not available"),
        (misbehaving.says(b"\x20\x02\0\4"), "expect.login", "the password is wrong"),
        (misbehaving.says(YES), "transfer.timeout", "the answer to the subscription"),
        (misbehaving.says(YES, b"\x90\x03\0\1\x80"), "expect.topic", "does not allow the topic a/b"),
        (misbehaving.says(YES, b"\x30\x05\0\2hix" + b"\x90\x03\0\1\0"), "expect.contains", "is not in the 1 bytes"),
        (misbehaving.says(YES, b"\x90\x03\0\1\0" + b"\x30\x03\0\x09a"), "transfer.malformed", "cannot be read"),
    ],
)
def test_brokers_that_misbehave(serve: Any, code: str, says: str) -> None:
    with tcp_server(serve) as port:
        target = {"address": f"127.0.0.1:{port}", "topic": "a/b", "password": "${env:PASSWORD}"}
        result = run_filled("mqtt", target, {"contains": "never"}, secrets=SECRETS, limit=0.3)
    assert result.verdict == "down"
    assert result.code == code or not code, result.message
    assert says in result.message


def test_lengths_are_written_as_the_standard_has_them() -> None:
    for size, head in ((0, b"\x30\0"), (127, b"\x30\x7f"), (128, b"\x30\x80\x01"), (16_384, b"\x30\x80\x80\x01")):
        assert packets.packet(packets.PUBLISH, bytes(size)) == head + bytes(size)


def test_refused_and_mistakes() -> None:
    assert run_filled("mqtt", f"127.0.0.1:{free_port()}").code == "connect.refused"
    address = KIND.address(KIND.target.model_validate({"address": "a.test", "tls": True, "topic": "x/#"}))
    assert address == "a.test:8883 x/#"
    for target, says in (
        ({"topic": "a/#/b"}, "at the end only"),
        ({"topic": "a+/b"}, "stand alone"),
        ({"topic": "a/+", "send": "x"}, "without"),
        ({"send": "x"}, "needs a `topic`"),
    ):
        with pytest.raises(ValidationError, match=says):
            KIND.target.model_validate({"address": "a.test"} | target)

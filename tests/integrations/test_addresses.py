"""The address guard: what it refuses, however it is written, and what opens it."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from mainstay.integrations.addresses import Guard, is_own, normalise, parse_allow
from mainstay.kernel.errors import UserError


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "169.254.170.2",
        "100.100.100.200",
        "192.0.0.192",
        "168.63.129.16",
        "fd00:ec2::254",
        "fd20:ce::254",
        "::ffff:169.254.169.254",
        "::169.254.169.254",
        "64:ff9b::169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
        "[::ffff:a9fe:a9fe]",
        "169.254.1.1",
        "fe80::1",
        "fe80::1%eth0",
        "0.0.0.0",
        "0.1.2.3",
        "::",
        "::ffff:0.0.0.0",
        "224.0.0.1",
        "ff02::1",
        "255.255.255.255",
        "not an address",
        "",
    ],
)
def test_refused_by_default(address: str) -> None:
    assert Guard.from_settings("self").refuses(address)


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "10.1.2.3", "192.168.1.1", "93.184.216.34", "2606:4700::1111"]
)
def test_open_by_default(address: str) -> None:
    assert Guard.from_settings("self").refuses(address) == ""


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"])
def test_a_closed_install_refuses_itself(address: str) -> None:
    reason = Guard.from_settings("").refuses(address)
    assert "an address of this machine" in reason
    assert "`self` allows it" in reason


def test_own_addresses_of_interfaces_are_found() -> None:
    guard = Guard(frozenset(), own=lambda address: str(address) == "10.9.8.7")
    assert guard.refuses("10.9.8.7")
    assert guard.refuses("::ffff:10.9.8.7")
    assert guard.refuses("10.9.8.6") == ""
    assert is_own(ip_address("127.0.0.1"))
    assert not is_own(ip_address("192.0.2.1"))


@pytest.mark.parametrize(
    ("allow", "address", "open_"),
    [
        ("metadata", "169.254.169.254", True),
        ("link-local", "169.254.169.254", False),
        ("link-local", "169.254.1.1", True),
        ("link-local", "fe80::1", True),
        ("self,10.0.0.0/8", "10.1.1.1", True),
        ("169.254.169.254/32", "169.254.169.254", True),
        ("127.0.0.0/8", "127.0.0.1", True),
        ("127.0.0.0/8", "::1", False),
        ("224.0.0.0/4", "224.0.0.1", True),
    ],
)
def test_what_a_setting_opens(allow: str, address: str, open_: bool) -> None:
    assert (Guard.from_settings(allow).refuses(address) == "") is open_


@pytest.mark.parametrize("allow", ["selff", "10.0.0.0/40", "self link-local", "10.0.0.1-10.0.0.9"])
def test_a_wrong_setting_is_told(allow: str) -> None:
    with pytest.raises(UserError, match="MAINSTAY_PROBE_ALLOW"):
        parse_allow(allow)


def test_decisions_are_kept_for_a_minute() -> None:
    asked: list[str] = []
    now = [0.0]

    def own(address: object) -> bool:
        asked.append(str(address))
        return False

    guard = Guard(frozenset(), own=own, monotonic=lambda: now[0])
    for moment in (0.0, 30.0, 59.0, 61.0):
        now[0] = moment
        guard.refuses("10.0.0.1")
    assert len(asked) == 2


def test_normalise_takes_the_wrapping_off() -> None:
    assert str(normalise("::ffff:1.2.3.4")) == "1.2.3.4"
    assert str(normalise("2002:102:304::")) == "1.2.3.4"
    assert str(normalise("::1")) == "::1"
    with pytest.raises(ValueError, match="does not appear"):
        normalise("1.2.3")

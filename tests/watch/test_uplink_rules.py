"""The uplink guard's rules: when a failure lies on this machine's side, and when that turns out to be wrong."""

from __future__ import annotations

import pytest

from mainstay.watch.reach import Reach, learned, reach_of
from mainstay.watch.state import Reason
from mainstay.watch.uplink import Evidence, Routes, Uplink, is_lookup, routes_from

PUBLIC, NAMED = Reach("public"), Reach("public", named=True)
PRIVATE, LOOPBACK = Reach("private"), Reach("loopback")
ROUTES = Routes(default=True, interface=True)
UP, DOWN = {"a:1": True, "b:1": True}, {"a:1": False, "b:1": False}


def reached() -> Uplink:
    """An uplink whose targets were reached once."""
    uplink = Uplink()
    assert uplink.take(Evidence(100.0, ROUTES, UP)) == []
    return uplink


@pytest.mark.parametrize(
    ("address", "scope", "named"),
    [
        ("https://example.com/health", "public", True),
        ("https://user@EXAMPLE.com:8443/x?y#z", "public", True),
        ("http://127.0.0.1:8800/api/health", "loopback", False),
        ("http://127.9.9.9/", "loopback", False),
        ("http://[::1]:80/", "loopback", False),
        ("http://localhost/", "loopback", False),
        ("http://app.localhost:3000", "loopback", False),
        ("http://0.0.0.0:80/", "loopback", False),
        ("http://[::ffff:127.0.0.1]/", "loopback", False),
        ("10.1.2.3:5432", "private", False),
        ("http://192.168.1.1", "private", False),
        ("[fe80::1%eth0]:80", "private", False),
        ("fd00::1", "private", False),
        ("169.254.10.1:80", "private", False),
        ("8.8.8.8", "public", False),
        ("8.8.8.8:53", "public", False),
        ("2606:4700::1111", "public", False),
        ("db.internal:5432", "public", True),
        ("example.com", "public", True),
        ("http://[broken", "public", True),
        ("", "public", True),
    ],
)
def test_where_targets_lie(address: str, scope: str, named: bool) -> None:
    found = reach_of(address)
    assert (found.scope, found.named) == (scope, named)


def test_a_names_scope_is_learned_from_its_first_address() -> None:
    name = reach_of("nas.lan:80")
    assert name.assumed
    assert learned(name, "192.168.1.5") == Reach("private", named=True, zone="nas.lan")
    assert learned(name, "9.9.9.9") == Reach("public", named=True, zone="nas.lan")
    assert learned(name, "127.0.0.1") == Reach("loopback", named=True)
    assert learned(name, "10.0.0.1:443").scope == "private"
    assert learned(name, "[::1]:443").scope == "loopback"
    assert learned(name, "fd00::1").scope == "private"
    assert learned(name, None) == name
    assert learned(name, "no address") == name
    assert learned(Reach("public", named=True), "10.0.0.1").scope == "public"


def test_calm_excuses_nothing() -> None:
    uplink = reached()
    for reach in (PUBLIC, NAMED, PRIVATE, LOOPBACK):
        assert uplink.excuse(reach, "connect.timeout") is None


def test_silent_targets_excuse_all_but_loopback() -> None:
    uplink = reached()
    changes = uplink.take(Evidence(200.0, ROUTES, DOWN))
    assert [(change.part, change.lost) for change in changes] == [("network", True)]
    assert "a:1, b:1" in changes[0].why
    assert uplink.excuse(PUBLIC, "connect.timeout") is Reason.UPLINK_LOST
    assert uplink.excuse(PRIVATE, "connect.timeout") is Reason.UPLINK_LOST
    assert uplink.excuse(LOOPBACK, "connect.refused") is None
    assert uplink.take(Evidence(201.0, ROUTES, DOWN)) == []


def test_one_answer_is_enough() -> None:
    uplink = reached()
    assert uplink.take(Evidence(200.0, ROUTES, {"a:1": False, "b:1": True})) == []
    assert uplink.take(Evidence(201.0, ROUTES, {"b:1": True})) == []


def test_targets_that_were_never_reached_prove_nothing() -> None:
    uplink = Uplink()
    assert uplink.take(Evidence(100.0, ROUTES, DOWN)) == []
    assert uplink.excuse(PUBLIC, "connect.timeout") is None


@pytest.mark.parametrize(
    ("routes", "private"),
    [(Routes(default=False, interface=True), False), (Routes(default=False, interface=False), True)],
)
def test_without_routes(routes: Routes, private: bool) -> None:
    uplink = Uplink()
    assert [change.lost for change in uplink.take(Evidence(100.0, routes, DOWN))] == [True]
    assert uplink.excuse(PUBLIC, "connect.unreachable") is Reason.UPLINK_LOST
    assert (uplink.excuse(PRIVATE, "connect.unreachable") is Reason.UPLINK_LOST) is private


def test_a_system_without_tables_is_believed() -> None:
    uplink = Uplink()
    assert uplink.take(Evidence(100.0, Routes(), {})) == []


def test_restored_with_how_long_it_took() -> None:
    uplink = reached()
    uplink.take(Evidence(200.0, ROUTES, DOWN))
    (restored,) = uplink.take(Evidence(260.0, ROUTES, UP))
    assert (restored.lost, restored.since, restored.seconds) == (False, 260.0, 60.0)
    assert uplink.excuse(PUBLIC, "connect.timeout") is None


def test_restored_after_the_clock_went_back_takes_no_negative_time() -> None:
    uplink = reached()
    uplink.take(Evidence(5000.0, ROUTES, DOWN))
    (restored,) = uplink.take(Evidence(1400.0, ROUTES, UP))
    assert restored.seconds == 0.0


def test_a_good_public_check_disproves_it_until_the_targets_answer_again() -> None:
    uplink = reached()
    uplink.take(Evidence(200.0, ROUTES, DOWN))
    assert uplink.succeeded(PUBLIC, 199.0, looked_up=True) == []  # it began before
    assert [change.lost for change in uplink.succeeded(PUBLIC, 201.0, looked_up=True)] == [False]
    assert uplink.take(Evidence(202.0, ROUTES, DOWN)) == []
    uplink.take(Evidence(300.0, ROUTES, UP))
    assert uplink.take(Evidence(400.0, ROUTES, DOWN)) != []


def test_a_good_check_disproves_missing_routes() -> None:
    uplink = Uplink()
    bare = Routes(default=False, interface=False)
    uplink.take(Evidence(200.0, bare))
    assert uplink.succeeded(PUBLIC, 201.0, looked_up=True) != []
    assert uplink.take(Evidence(202.0, bare)) == []
    uplink.take(Evidence(203.0, ROUTES))
    assert uplink.take(Evidence(204.0, bare)) != []


def test_a_good_private_check_frees_private_targets_only() -> None:
    uplink = reached()
    uplink.take(Evidence(200.0, ROUTES, DOWN))
    assert uplink.succeeded(PRIVATE, 201.0, looked_up=False) == []
    assert uplink.excuse(PRIVATE, "connect.timeout") is None
    assert uplink.excuse(PUBLIC, "connect.timeout") is Reason.UPLINK_LOST
    uplink.take(Evidence(202.0, ROUTES, DOWN))
    assert uplink.excuse(PRIVATE, "connect.timeout") is None


def test_good_loopback_checks_prove_nothing() -> None:
    uplink = reached()
    uplink.take(Evidence(200.0, ROUTES, DOWN))
    assert uplink.succeeded(LOOPBACK, 201.0, looked_up=True) == []
    assert "network" in uplink.lost


def test_a_dead_resolver_excuses_lookups_of_names_only() -> None:
    uplink = reached()
    (lost,) = uplink.take(Evidence(200.0, ROUTES, UP, resolver=False))
    assert (lost.part, lost.lost) == ("resolver", True)
    assert uplink.excuse(NAMED, "lookup.failed") is Reason.RESOLVER_DEAD
    assert uplink.excuse(NAMED, "lookup.not_found") is None
    assert uplink.excuse(NAMED, "connect.timeout") is None
    assert uplink.excuse(PUBLIC, "lookup.failed") is None
    assert uplink.take(Evidence(201.0, ROUTES, UP)) == []  # it was not asked
    assert [change.part for change in uplink.succeeded(NAMED, 202.0, looked_up=True)] == ["resolver"]


def test_an_answer_of_the_resolver_restores_it() -> None:
    uplink = reached()
    uplink.take(Evidence(200.0, ROUTES, UP, resolver=False))
    assert [change.lost for change in uplink.take(Evidence(230.0, ROUTES, UP, resolver=True))] == [False]


@pytest.mark.parametrize(
    ("code", "lookup"),
    [("lookup.failed", True), ("lookup.timeout", True), ("lookup.not_found", False), ("connect.refused", False)],
)
def test_which_codes_speak_of_the_resolver(code: str, lookup: bool) -> None:
    assert is_lookup(code) is lookup


V4 = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
DEFAULT4 = "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
LOCAL4 = "eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
ZERO = "0" * 32
DEFAULT6 = f"{ZERO} 00 {ZERO} 00 fd000000000000000000000000000001 00000400 00000002 00000000 00000003     eth0\n"
REJECT6 = f"{ZERO} 00 {ZERO} 00 {ZERO} ffffffff 00000001 00000000 00200200       lo\n"
LINK6 = f"fe800000000000000000000000000000 40 {ZERO} 00 {ZERO} 00000100 00000002 00000000 00000001     eth0\n"


@pytest.mark.parametrize(
    ("ipv4", "ipv6", "expected"),
    [
        ("", "", Routes(None, None)),
        (V4 + DEFAULT4 + LOCAL4, REJECT6, Routes(True, True)),
        (V4 + LOCAL4, REJECT6 + LINK6, Routes(False, True)),
        (V4, REJECT6 + LINK6, Routes(False, False)),
        (V4, DEFAULT6 + REJECT6, Routes(True, True)),
        (V4, "", Routes(False, False)),
        (V4 + "garbage\n", "also garbage\n", Routes(False, False)),
    ],
)
def test_the_kernels_tables(ipv4: str, ipv6: str, expected: Routes) -> None:
    assert routes_from(ipv4, ipv6) == expected

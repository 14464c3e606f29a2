"""The exposition: escaping, types, both formats, and every name with its labels."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.rigs.exposition_reader import parse

from mainstay.frames.exposition import Family, Figures, accepts_openmetrics, answer, format_value, render
from mainstay.heartbeats import metrics as beats
from mainstay.kernel.probing import CheckResult, Vitals
from mainstay.watch import metrics
from mainstay.watch.metrics import LocationSnapshot, MonitorSnapshot
from mainstay.watch.probe_metrics import address_hash, cipher_name, rows
from mainstay.watch.probers import ProberReport

NASTY = 'a "quoted" \\ back\nslash {x="y"} \u00fc'


def result(**given: object) -> CheckResult:
    return CheckResult(uid="m1", at=1_800_000_000.5, **given)  # type: ignore[arg-type]


def full() -> list[Family]:
    good = result(
        verdict="up",
        duration=0.25,
        phases={"lookup": 0.01, "connect": 0.02, "tls": 0.03, "wait": 0.15, "transfer": 0.04},
        evidence={"address": "192.0.2.1:443", "status": 200, "http_version": "2", "bytes": 42},
    )
    lost = result(verdict="down", code="wait.timeout", duration=2.0, phases={"connect": 0.001, "wait": 1.9})
    monitors = [
        MonitorSnapshot(
            "api", "http", "https://example.com/?q=" + NASTY, "up", "P0", {"service": NASTY}, 1.5, False, good
        ),
        MonitorSnapshot("host", "icmp", "192.0.2.9", "down", "P2", result=lost),
        MonitorSnapshot("new", "tcp", "db:5432", "unknown"),
    ]
    vitals = Vitals(1.0, assigned=3, running=1, checks=100, lag_p99=0.002, memory=40_000_000)
    figures = Figures(metrics.METRICS)
    metrics.fill_monitors(figures, monitors)
    metrics.fill_probers(figures, [ProberReport(0, 7, True, 1, 3, vitals), ProberReport(1, 8, False, 0, 2, None)])
    metrics.fill_locations(figures, [LocationSnapshot("fra", up=True, results=5)])
    return figures.families()


@pytest.mark.parametrize("openmetrics", [False, True])
def test_all_of_it_reads_back(openmetrics: bool) -> None:
    families = parse(render(full(), openmetrics=openmetrics), openmetrics=openmetrics)
    checks = families["mainstay_prober_checks" if openmetrics else "mainstay_prober_checks_total"]
    assert checks.type == "counter"
    zero, one = ((("prober", number),) for number in "01")
    assert checks.samples == {("mainstay_prober_checks_total", zero): 100, ("mainstay_prober_checks_total", one): 0}
    states = families["mainstay_monitors"].samples
    assert states["mainstay_monitors", (("state", "down"),)] == 1
    assert states["mainstay_monitors", (("state", "paused"),)] == 0
    assert families["mainstay_prober_up"].samples["mainstay_prober_up", one] == 0
    assert families["mainstay_prober_monitors"].samples["mainstay_prober_monitors", one] == 2
    assert families["mainstay_check_lag_p99_seconds"].samples == {("mainstay_check_lag_p99_seconds", ()): 0.002}
    located = families["mainstay_location_results" if openmetrics else "mainstay_location_results_total"]
    assert list(located.samples.values()) == [5]
    checked = families["mainstay_monitor_checked_seconds"].samples
    assert checked["mainstay_monitor_checked_seconds", (("monitor", "api"),)] == 1_800_000_000.5


def test_heartbeats_are_in_one_state() -> None:
    figures = Figures(beats.METRICS)
    never = beats.HeartbeatSnapshot("never", "new")
    beats.fill(figures, [beats.HeartbeatSnapshot("nightly", "up", 1_800_000_000.0, 12.5), never])
    families = parse(render(figures.families()))
    assert list(families["mainstay_heartbeats"].samples.values()) == [1, 1]
    assert list(families["mainstay_heartbeat_run_seconds"].samples.values()) == [12.5]
    assert len(families["mainstay_heartbeat_state"].samples) == 2


def test_labels_keep_every_character() -> None:
    families = parse(render(full()))
    infos = [dict(labels) for _, labels in families["mainstay_monitor_info"].samples]
    assert infos[0]["label_service"] == NASTY
    assert infos[0]["target"].endswith(NASTY)
    assert {info["monitor"] for info in infos} == {"api", "host", "new"}


def test_a_monitor_is_in_one_state() -> None:
    samples = parse(render(full()))["mainstay_monitor_state"].samples
    assert {(dict(labels)["monitor"], dict(labels)["state"]) for (_, labels), value in samples.items() if value} == {
        ("api", "up"),
        ("host", "down"),
        ("new", "unknown"),
    }


def test_probe_names_carry_the_monitor() -> None:
    families = parse(render(full()))
    success = {dict(labels)["monitor"]: value for (_, labels), value in families["probe_success"].samples.items()}
    assert success == {"api": 1, "host": 0}
    phases = families["probe_http_duration_seconds"].samples
    assert {dict(labels)["phase"]: value for (_, labels), value in phases.items()} == {
        "resolve": 0.01,
        "connect": 0.02,
        "tls": 0.03,
        "processing": 0.15,
        "transfer": 0.04,
    }
    assert all(dict(labels)["kind"] == "http" for _, labels in phases)
    assert len(families["probe_icmp_duration_seconds"].samples) == 3


def test_what_is_not_known_is_not_shown() -> None:
    figures = Figures(metrics.METRICS)
    metrics.fill_monitors(figures, ())
    figures.say("results_lost", None)
    with pytest.raises(KeyError):
        figures.say("never_declared", 1)
    for openmetrics in (False, True):
        families = parse(render(figures.families(), openmetrics=openmetrics), openmetrics=openmetrics)
        assert "mainstay_monitors" in families
        assert not {name for name in families if name.startswith("mainstay_results_lost")}


def test_degraded_is_a_success_and_unknown_is_none() -> None:
    for verdict, value in (("up", 1), ("degraded", 1), ("down", 0), ("unknown", 0)):
        assert {name: found for name, _, found in rows("tcp", result(verdict=verdict))}["probe_success"] == value


@pytest.mark.parametrize(
    ("address", "version", "hashed"),
    # Values as the exporter 0.23 gives them for these addresses.
    [
        ("127.0.0.1", 4, 3668918509),
        ("127.0.0.1:80", 4, 3668918509),
        ("::1", 6, 1751717746),
        ("[::1]:443", 6, 1751717746),
        ("", 0, 0),
    ],
)
def test_the_hash_of_an_address_is_the_exporters(address: str, version: int, hashed: int) -> None:
    found = {name: value for name, _, value in rows("tcp", result(evidence={"address": address}))}
    assert (found["probe_ip_protocol"], found["probe_ip_addr_hash"]) == (version, hashed)


@pytest.mark.parametrize(
    ("openssl", "registered"),
    [
        ("TLS_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256"),
        ("ECDHE-ECDSA-AES128-GCM-SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"),
        ("ECDHE-RSA-AES256-GCM-SHA384", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"),
        ("ECDHE-RSA-CHACHA20-POLY1305", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"),
        ("ECDHE-RSA-AES128-SHA", "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA"),
        ("AES128-SHA256", "TLS_RSA_WITH_AES_128_CBC_SHA256"),
        ("AES256-GCM-SHA384", "TLS_RSA_WITH_AES_256_GCM_SHA384"),
        ("DHE-PSK-AES128-CCM", "DHE-PSK-AES128-CCM"),
    ],
)
def test_ciphers_have_their_registered_names(openssl: str, registered: str) -> None:
    assert cipher_name(openssl) == registered


def test_fnv_1a_reference_value() -> None:
    assert address_hash(b"a") == 0xE40C292C


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.0, "1"), (0.25, "0.25"), (-3.0, "-3"), (1e20, "1e+20"), (float("nan"), "NaN"), (float("inf"), "+Inf")],
)
def test_values(value: float, text: str) -> None:
    assert format_value(value) == text


@pytest.mark.parametrize(
    ("accept", "openmetrics"),
    [
        ("", False),
        ("*/*", False),
        ("text/plain;version=0.0.4", False),
        ("application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", True),
        ("application/openmetrics-text; q=0, text/plain", False),
    ],
)
def test_the_format_follows_the_accept_header(accept: str, openmetrics: bool) -> None:
    assert accepts_openmetrics(accept) is openmetrics
    content_type, body = answer(accept, full())
    assert content_type.startswith("application/openmetrics-text" if openmetrics else "text/plain; version=0.0.4")
    assert body.endswith("# EOF\n") is openmetrics


@given(st.text(), st.floats(allow_nan=False), st.text(min_size=1))
def test_any_label_and_value_reads_back(label: str, value: float, said: str) -> None:
    family = Family("some_name", said.replace("\r", " ")).add(value, {"label": label})
    for openmetrics in (False, True):
        read = parse(render([family], openmetrics=openmetrics), openmetrics=openmetrics)
        assert read["some_name"].samples == {("some_name", (("label", label),)): value}

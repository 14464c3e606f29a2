"""Uptime Kuma: pushes, status pages, badges and metrics, as its server/routers answer."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from tests.rigs.compat_rig import Rig, rigged
from tests.rigs.pinging import heartbeat

from mainstay.foreign.compat.gatus_endpoints import Endpoint, response_time, uptime
from mainstay.foreign.compat.kuma_badges import Duration, Shown, badge, duration_of
from mainstay.foreign.compat.kuma_metrics import WINDOWS, kuma_answer
from mainstay.foreign.import_history import _row
from mainstay.foreign.importing.kuma_history import Day
from mainstay.frames.days import DayMark, Line
from mainstay.heartbeats import queries
from mainstay.heartbeats.metrics import HeartbeatSnapshot
from mainstay.kernel.probing import CheckResult
from mainstay.statuspage.view import PublicComponent, PublicIncident, PublicPage
from mainstay.watch.metrics import MonitorSnapshot
from mainstay.watch.results import set_current
from mainstay.watch.results.history import CALM, HISTORY, NO_DATA, periods
from mainstay.watch.results.results import Results
from mainstay.watch.results.values import Sample

pytestmark = pytest.mark.usefixtures("store")
DAY = 86_400

NOT_FOUND = {"ok": False, "msg": "Monitor not found or not active."}


def _label(svg: str) -> str:
    return ET.fromstring(svg).get("aria-label", "")


def test_a_push_is_a_ping_with_a_message_and_a_duration(clock: object) -> None:
    view = heartbeat("cron", push_token="pQ3xT9aLm0")

    async def test(rig: Rig) -> None:
        done = await rig.client.get("/api/push/pQ3xT9aLm0?status=up&msg=all%20good&ping=250.5")
        assert (done.status_code, done.json()) == (200, {"ok": True})
        assert (await rig.client.post("/api/push/pQ3xT9aLm0?status=down&msg=broke&ping=")).json() == {"ok": True}
        assert (await rig.client.put("/api/push/pQ3xT9aLm0")).json() == {"ok": True}

    rigged(clock, test)
    up, down, plain = reversed(queries.pings(view.uid))
    assert (up.kind, up.method, up.duration, queries.ping(view.uid, 1).body) == ("success", "GET", 0.2505, b"all good")
    assert (down.kind, down.method, down.duration, queries.ping(view.uid, 2).body) == ("fail", "POST", None, b"broke")
    assert (plain.kind, queries.ping(view.uid, 3).body) == ("success", b"OK")
    assert queries.heartbeat("cron").state == "up"


def test_the_ping_uuid_is_a_token_too(clock: object) -> None:
    view = heartbeat("cron")

    async def test(rig: Rig) -> None:
        for token in (view.uuid, view.uuid.replace("-", ""), view.uuid.upper()):
            assert (await rig.client.get(f"/api/push/{token}")).json() == {"ok": True}

    rigged(clock, test)


def test_a_token_may_come_from_the_environment(clock: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUMA_TOKEN", "from the environment")
    view = heartbeat("cron", push_token="${env:KUMA_TOKEN}")
    heartbeat("without", push_token="${env:NOT_SET_ANYWHERE}")

    async def test(rig: Rig) -> None:
        assert (await rig.client.get("/api/push/from%20the%20environment")).json() == {"ok": True}
        assert (await rig.client.get("/api/push/$%7Benv:NOT_SET_ANYWHERE%7D")).status_code == 404

    rigged(clock, test)
    assert queries.heartbeat("cron").pings == view.pings + 1


def test_pushes_that_are_refused(clock: object) -> None:
    heartbeat("off", push_token="switched-off", enabled=False)
    heartbeat("on", push_token="switched-on")

    async def test(rig: Rig) -> None:
        for token in ("switched-off", "nobody", "x" * 500, "%00"):
            refused = await rig.client.get(f"/api/push/{token}")
            assert (refused.status_code, refused.json()) == (404, NOT_FOUND), token
        for ping in ("-1", "1e12"):
            refused = await rig.client.get(f"/api/push/switched-on?ping={ping}")
            assert refused.status_code == 404
            assert "Invalid ping value" in refused.json()["msg"]
        for ping in ("abc", "nan", "1e999"):  # no numbers to JavaScript's parseFloat either, or none that are finite
            assert (await rig.client.get(f"/api/push/switched-on?ping={ping}")).json() == {"ok": True}

    rigged(clock, test)


def _page(*parts: str) -> PublicPage:
    days = Line(1_800_000_000.0 - 2 * 86_400, (NO_DATA, CALM, DayMark("down", 0.25, 300.0, 100.0)))
    return PublicPage(
        slug="public",
        title="Example",
        description="",
        link="",
        support="",
        days=3,
        url="",
        at=1_800_000_000.0,
        indicator="major",
        components=(
            PublicComponent("0123456789ab", "API", "", "Core", "outage", 0.0, days, parts),
            PublicComponent("ba9876543210", "Web", "", "", "operational", 0.0, None),
        ),
        incidents=(PublicIncident("00ff00ff00ff", "API is down", "outage", 0.0, 60.0, None, None, ("API",)),),
    )


@pytest.fixture
def month(store: None, tmp_path: Path) -> Iterator[Results]:
    """Thirty days of another tool, of which 96.44 % were good."""
    telemetry = Results.embedded(tmp_path / "telemetry.duckdb")
    today = int(time.time()) // DAY * DAY
    good = {"up": DAY * 0.9644, "down": DAY * 0.0356}
    days = [Day("api", today - DAY * ago, 100, 4, good, 0.2, 0.2, 0.2, 0.2) for ago in range(1, 31)]
    telemetry.import_days([_row("uid-api", day) for day in days])
    telemetry.append(
        [Sample(uid="uid-api", at=time.time() - 1, verdict="up", duration=0.1, charge="up", charged=0.001)]
    )
    telemetry.flush()
    set_current(telemetry)
    HISTORY.forget()
    yield telemetry
    set_current(None)
    HISTORY.forget()
    telemetry.close()


def test_every_door_tells_the_same_uptime(month: Results, clock: object) -> None:
    endpoint = Endpoint("monitor", "monitor/api", "uid-api", "", "api", "", 60, True, True)
    gatus = uptime(endpoint, 720)
    assert gatus == pytest.approx(0.9644, abs=1e-4)
    assert response_time(endpoint, 720) == pytest.approx(0.2, abs=1e-3)
    assert next(one.share for one in periods("uid-api", time.time()) if one.words == "30 days") == gatus
    known = {window: HISTORY.uptimes(["uid-api"], seconds, time.time()) for window, seconds in WINDOWS.items()}
    monitors = [MonitorSnapshot("api", "http", "https://a", "up", uid="uid-api")]
    text = kuma_answer("", monitors, [], time.time(), known)[1]
    ratios = {line.partition('window="')[2].partition('"')[0]: float(line.rpartition(" ")[2])
              for line in text.splitlines() if line.startswith("monitor_uptime_ratio{")}  # fmt: skip
    assert ratios["30d"] == gatus
    assert ratios["1d"] == 1.0
    assert "monitor_response_time_seconds{" in text

    async def test(rig: Rig) -> None:
        rig.pages.append(_page("uid-api"))
        page = (await rig.client.get("/api/status-page/public")).json()
        number = page["publicGroupList"][0]["monitorList"][0]["id"]
        drawn = (await rig.client.get(f"/api/badge/{number}/uptime/30d")).text
        assert _label(drawn) == "Uptime (30h): 96.44%"
        told = (await rig.client.get("/api/status-page/heartbeat/public")).json()
        assert told["uptimeList"] == {f"{number}_24": 1.0}

    rigged(clock, test)


@pytest.mark.parametrize(
    ("share", "text", "color"),
    [(1.0, "100.0%", "#66c20a"), (0.99996, "99.99%", "#66c20a"), (0.075, "7.500%", ""), (0.0, "0.000%", "#c2290a")],
)
def test_uptime_has_four_digits_and_is_never_rounded_up(share: float, text: str, color: str) -> None:
    drawn = badge("uptime", Shown(1, share, "24"), {}) or ""
    assert _label(drawn) == f"Uptime (24h): {text}"
    assert color in drawn


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("24", Duration("24", DAY)),
        ("90m", Duration("90", 5400)),
        ("4w", Duration("4", 28 * DAY)),
        ("1y", Duration("1", 365 * DAY)),
        ("1000h", "The maximum number of hours is 720"),
        ("2y", "The maximum number of days is 365"),
        ("5x", "Unsupported unit (x) for badge duration 5x"),
        ("h", "Invalid duration: h"),
    ],
)
def test_durations_of_badges(written: str, words: Duration | str) -> None:
    if isinstance(words, Duration):
        assert duration_of(written) == words
    else:
        with pytest.raises(ValueError, match=re.escape(words)):
            duration_of(written)


def test_status_pages_and_their_beats(clock: object) -> None:
    async def test(rig: Rig) -> None:
        rig.pages.append(_page())
        page = (await rig.client.get("/api/status-page/PUBLIC")).json()
        assert set(page) == {"config", "incident", "incidents", "publicGroupList", "maintenanceList"}
        assert (page["config"]["slug"], page["config"]["title"], page["config"]["published"]) == (
            "public",
            "Example",
            True,
        )
        assert [(group["name"], group["monitorList"][0]["name"]) for group in page["publicGroupList"]] == [
            ("Core", "API"),
            ("Services", "Web"),
        ]
        assert page["incident"]["title"] == "API is down"
        assert page["incident"]["createdDate"] == "1970-01-01 00:00:00"
        first, second = (str(group["monitorList"][0]["id"]) for group in page["publicGroupList"])
        told = (await rig.client.get("/api/status-page/heartbeat/public")).json()
        assert [beat["status"] for beat in told["heartbeatList"][first]] == [1, 0]
        assert told["heartbeatList"][first][-1]["time"] == "2027-01-15 08:00:00.000"
        assert [beat["status"] for beat in told["heartbeatList"][second]] == [1]
        assert told["uptimeList"] == {}  # nothing was measured in the last 24 hours
        missing = await rig.client.get("/api/status-page/other")
        assert (missing.status_code, missing.json()["msg"]) == (404, "Status Page Not Found")
        nothing = await rig.client.get("/api/status-page/heartbeat/other")
        assert (nothing.status_code, nothing.json()) == (200, {"heartbeatList": {}, "uptimeList": {}})
        assert (await rig.client.get("/api/status-page/public/manifest.json")).json()["name"] == "Example"
        past = (await rig.client.get("/api/status-page/public/incident-history")).json()
        assert [one["title"] for one in past["incidents"]] == ["API is down"]
        assert _label((await rig.client.get("/api/status-page/public/badge?label=all")).text) == "all: Degraded"
        assert _label((await rig.client.get("/api/status-page/other/badge")).text) == "N/A"
        assert {"analyticsId", "rssTitle"} <= page["config"].keys()

        badge = f"/api/badge/{first}"
        assert _label((await rig.client.get(f"{badge}/status")).text) == "Status: Down"
        own = "?label=API&downLabel=broken&downColor=ff0000"
        drawn = (await rig.client.get(f"{badge}/status{own}")).text
        assert (_label(drawn), "#ff0000" in drawn) == ("API: broken", True)
        assert _label((await rig.client.get(f"{badge}/uptime")).text) == "N/A"
        refused = await rig.client.get(f"{badge}/uptime/7x")
        assert (refused.status_code, refused.json()["status"]) == (403, "fail")
        assert _label((await rig.client.get(f"{badge}/ping")).text) == "N/A"
        assert _label((await rig.client.get("/api/badge/1/status")).text) == "N/A"
        assert (await rig.client.get(f"{badge}/nonsense")).status_code == 404
        nasty = (await rig.client.get(f"{badge}/status", params={"label": '"><script>', "downColor": '"/>'})).text
        assert "<script>" not in nasty
        assert '"/>"' not in nasty
        ET.fromstring(nasty)

    rigged(clock, test)


@pytest.mark.parametrize("wild", [{"status": "x"}, {"certificate": 5}, {"certificates": [{"not_after": "x"}]}])
def test_evidence_of_any_shape_costs_no_other_monitor_its_metrics(wild: dict[str, Any]) -> None:
    result = CheckResult(uid="a", at=1.0, verdict="up", duration=0.123, evidence=wild | {"tls": "x"})
    monitors = [MonitorSnapshot(name, "http", "https://a.example", "up", result=result) for name in ("api", "web")]
    text = kuma_answer("", monitors, [], time.time(), {})[1]
    assert text.count("monitor_status{") == 2


def test_metrics_have_the_names_and_labels_of_the_original() -> None:
    now = time.time()
    seen = {"certificate": {"not_after": now + 30.5 * 86_400}, "tls": {"verified": True}}
    result = CheckResult(uid="a", at=now, verdict="up", duration=0.123, evidence=seen)
    monitors = [
        MonitorSnapshot("api", "http", "https://example.org/x", "up", result=result),
        MonitorSnapshot("db", "tcp", "db.example.org:5432", "down"),
        MonitorSnapshot("off", "tcp", "db.example.org:1", "paused"),
    ]
    kind, text = kuma_answer("", monitors, [HeartbeatSnapshot("cron", "up", last_duration=2.0)], now, {})
    assert kind.startswith("text/plain")
    assert "# TYPE monitor_status gauge" in text
    api = (
        'monitor_name="api",monitor_type="http",monitor_url="https://example.org/x",'
        'monitor_hostname="null",monitor_port="null"}'
    )
    db = (
        'monitor_name="db",monitor_type="port",monitor_url="null",'
        'monitor_hostname="db.example.org",monitor_port="5432"}'
    )
    values = {
        (line.partition("{")[0], line.partition(",")[2].rpartition(" ")[0]): float(line.rpartition(" ")[2])
        for line in text.splitlines()
        if not line.startswith("#")
    }
    assert values["monitor_status", api] == 1
    assert values["monitor_response_time", api] == 123
    assert values["monitor_status", db] == 0
    assert values["monitor_response_time", db] == -1
    assert values["monitor_cert_days_remaining", api] == 30
    assert values["monitor_cert_is_valid", api] == 1
    assert 'monitor_name="off"' not in text
    assert 'monitor_name="cron",monitor_type="push"' in text

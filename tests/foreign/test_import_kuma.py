"""Uptime Kuma: backup, database, and its history into ours."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.rigs.importing import holds_none_of, import_file, tells_every_leaf
from tests.rigs.kuma_source import KumaDatabase, backup, monitor

from mainstay.frames.boot import current_settings
from mainstay.kernel.actor import command
from mainstay.runtime.app import run
from mainstay.runtime.kinds import check_kinds
from mainstay.store.resources import queries
from mainstay.store.resources.apply import apply
from mainstay.store.resources.files import read_paths
from mainstay.store.resources.planning import Terms, plan_reading
from mainstay.watch.results.results import Results

pytestmark = pytest.mark.usefixtures("store")
Capture = pytest.CaptureFixture[str]
DAY = 86_400

MONITORS = [
    monitor(
        1,
        "API (Prod)",
        url="https://user:urlsecret@example.org/health?token=querysecret",
        method="POST",
        body='{"password": "bodysecret"}',
        headers='{"X-Api-Key": "headersecret", "Accept": "text/plain"}',
        accepted_statuscodes=["200-299", "301"],
        maxretries=2,
        retryInterval=20,
        ignoreTls=True,
        maxredirects=0,
        expiryNotification=True,
        notificationIDList={"1": True, "2": True, "9": True},
        tags=[{"tag_id": 1, "monitor_id": 1, "value": "core", "name": "team", "color": "#fff"}],
        description="the API",
        parent=20,
    ),
    monitor(2, "Words", type="keyword", url="https://example.org", keyword="Welcome", invertKeyword=True, active=False),
    monitor(3, "Query", type="json-query", url="https://example.org", jsonPath="$.data[0].ok", expectedValue="true"),
    monitor(4, "Complex", type="json-query", url="https://example.org", jsonPath="$count(items)", expectedValue="2"),
    monitor(5, "Port", type="port", hostname="db.example.org", port=5432, upsideDown=False),
    monitor(6, "Ping", type="ping", hostname="example.org", packetSize=100),
    monitor(7, "Names", type="dns", hostname="example.org", port=53, dns_resolve_type="MX"),
    monitor(8, "Backup job", type="push", pushToken="pushsecret123", interval=3600, maxretries=2, retryInterval=60),
    monitor(9, "Inverted", url="https://example.org", upsideDown=True),
    monitor(10, "Steam", type="steam", hostname="example.org", port=27015),
    monitor(
        11,
        "Basic",
        url="https://example.org",
        authMethod="basic",
        basic_auth_user="me",
        basic_auth_pass="basicsecret",
        expiryNotification=True,
    ),
    monitor(
        12, "NTLM", url="https://example.org", authMethod="ntlm", basic_auth_user="me", basic_auth_pass="ntlmsecret"
    ),
    monitor(13, "API (Prod)", url="https://example.com", resendInterval=5, weight=100),
    monitor(20, "Core group", type="group"),
    monitor(21, "Nowhere", type="quantum"),
]
NOTIFICATIONS = [
    {"id": 1, "name": "Slack!", "type": "slack", "slackwebhookURL": "https://hooks.slack.com/services/slacksecret",
     "slackusername": "kuma", "isDefault": True, "applyExisting": False},
    {"id": 2, "name": "Mail", "type": "smtp", "smtpHost": "mail.example.org", "smtpPort": 465, "smtpSecure": True,
     "smtpFrom": "Kuma <kuma@example.org>", "smtpTo": "ops@example.org", "smtpUsername": "kuma",
     "smtpPassword": "mailsecret", "customSubject": "{{NAME}}"},
    {"id": 3, "name": "Bot", "type": "telegram", "telegramBotToken": "botsecret", "telegramChatID": "42"},
    {"id": 4, "name": "Odd", "type": "Bitrix24", "bitrix24WebhookURL": "https://x.example/oddsecret"},
]  # fmt: skip


def write_backup(tmp_path: Path) -> Path:
    path = tmp_path / "backup.json"
    path.write_text(json.dumps(backup(MONITORS, NOTIFICATIONS), indent=2))
    return path


def test_a_backup_becomes_a_file(tmp_path: Path, capfd: Capture) -> None:
    path = write_backup(tmp_path)
    found = import_file(tmp_path, capfd, "kuma", str(path))
    monitors, heartbeats = found.file["monitors"], found.file["heartbeats"]
    api = monitors["API-Prod"]
    assert api["http"] == {
        "url": "https://example.org/health?token=${env:KUMA_API_PROD_TOKEN}",
        "auth": {"basic": {"username": "user", "password": "${env:KUMA_API_PROD_PASSWORD}"}},
        "method": "POST",
        "headers": {
            "X-Api-Key": "${env:KUMA_API_PROD_X_API_KEY}",
            "Accept": "text/plain",
            "Content-Type": "application/json",
        },
        "body": "${env:KUMA_API_PROD_BODY}",
        "tls": {"verify": False},
        "redirects": {"follow": False},
    }
    assert api["every"] == "1m"
    assert api["timeout"] == "48s"
    assert api["expect"] == {"status": ["200-299", 301]}
    assert monitors["Basic"]["expect"] == {"certificate_days": 21}
    assert monitors["Basic"]["alert_on"] == ["down", "degraded"]
    assert api["confirm"] == {"failures": 3, "recheck": "20s"}
    assert api["labels"]["team"] == "core"
    assert api["labels"]["group"] == "Core group"
    assert api["description"] == "the API"
    assert monitors["Words"]["expect"] == {"not_contains": "Welcome"}
    assert monitors["Words"]["enabled"] is False
    assert monitors["Query"]["expect"] == {"json": {"$.data[0].ok": "== true"}}
    assert "expect" not in monitors["Complex"]
    assert monitors["Port"]["tcp"] == "db.example.org:5432"
    assert monitors["Ping"]["icmp"] == {"host": "example.org", "size": 100}
    assert monitors["Names"]["dns"] == {"name": "example.org", "type": "MX", "resolver": "1.1.1.1"}
    assert heartbeats["Backup-job"] == {
        "title": "Backup job",
        "every": "1h",
        "grace": "120s",
        "push_token": "${env:KUMA_BACKUP_JOB_TOKEN}",
    }
    assert monitors["Basic"]["http"]["auth"] == {"basic": {"username": "me", "password": "${env:KUMA_BASIC_PASSWORD}"}}
    assert "API-Prod-13" in monitors
    assert monitors["Inverted"]["inverted"] is True
    assert {"Steam", "Nowhere"} & monitors.keys() == set()
    assert found.file["channels"] == {
        "Slack": {"slack": {"url": "${env:KUMA_SLACK_URL}"}},
        "Mail": {
            "email": {
                "to": ["ops@example.org"],
                "from": "kuma@example.org",
                "smtp": {
                    "host": "mail.example.org",
                    "port": 465,
                    "security": "tls",
                    "user": "kuma",
                    "password": "${env:KUMA_MAIL_PASSWORD}",
                },
            }
        },
        "Bot": {"apprise": "${env:KUMA_BOT_URL}"},
    }
    assert found.file["routes"] == [
        {"name": "to-Slack", "to": ["Slack"], "match": ['notify_Slack="yes"']},
        {"name": "to-Mail", "to": ["Mail"], "match": ['notify_Mail="yes"']},
    ]


def test_the_report_on_a_backup_tells_every_field_and_no_secret(tmp_path: Path, capfd: Capture) -> None:
    path = write_backup(tmp_path)
    found = import_file(tmp_path, capfd, "kuma", str(path))
    shape = {
        "version": "",
        "monitor": {str(one["id"]): one for one in MONITORS},
        "notification": {str(one["id"]): {"id": 0, "name": "", "active": 0, "config": one} for one in NOTIFICATIONS},
    }
    for one in MONITORS:
        if isinstance(one["headers"], str):
            shape["monitor"][str(one["id"])] = {**one, "headers": json.loads(one["headers"])}  # type: ignore[index]
    tells_every_leaf(found, shape)
    secrets = ("url", "query", "body", "header", "push", "basic", "ntlm", "slack", "mail", "bot", "odd")
    holds_none_of(found, [f"{word}secret" for word in secrets])
    assert found.why("monitor.11.expiryNotification").startswith("approximated: Kuma notifies 21, 14 and 7 days before")
    assert found.why("monitor.1.expiryNotification").startswith("without effect: Kuma checks no certificate")
    assert found.why("monitor.1.weight") == "without effect: as Mainstay does"
    assert found.why("monitor.1.packetSize") == "without effect: Kuma does not use it for the type http"
    assert found.why("monitor.13.weight").startswith("not carried")
    assert found.why("monitor.13.resendInterval").startswith("not carried: a notification is not repeated")
    assert found.why("monitor.9.upsideDown").startswith("carried")
    assert found.why("monitor.10.hostname") == "not carried: Mainstay has no check for Steam game servers"
    assert found.why("monitor.21.type") == "not carried: Mainstay does not know monitors of the type `quantum`"
    assert found.why("monitor.12.basic_auth_pass") == "not carried: Mainstay does not sign in by NTLM"
    assert found.why("monitor.1.notificationIDList.9") == "not carried: its notification is not imported"
    assert found.why("notification.4.config.bitrix24WebhookURL").startswith("not carried: Mainstay has no channel")
    assert found.rows()["monitor.2.keyword"]["line"] > 90
    assert found.secrets["KUMA_BACKUP_JOB_TOKEN"] == "monitor.8.pushToken"


def database(tmp_path: Path, *, days: bool = False) -> KumaDatabase:
    found = KumaDatabase(tmp_path / "kuma.db", days=days)
    found.add("proxy", user_id=1, protocol="http", host="proxy.example.org", port=3128, auth=1, username="me",
              password="proxysecret", active=1)  # fmt: skip
    found.add("monitor", name="Site", type="http", url="https://example.org", interval=60, parent=4, proxy_id=1)
    found.add("monitor", name="Words", type="keyword", url="https://example.org", keyword="ok", timeout=10.0)
    found.add("monitor", name="Job", type="push", push_token="dbpushsecret", interval=300)
    found.add("monitor", name="Everything", type="group")
    hook = json.dumps({"type": "webhook", "name": "Hook", "webhookURL": "https://x.example/hooksecret"})
    found.add("notification", name="Hook", user_id=1, config=hook)
    for identity in (1, 2, 3):
        found.add("monitor_notification", monitor_id=identity, notification_id=1)
    found.add("tag", name="customer", color="#f00")
    found.add("monitor_tag", monitor_id=1, tag_id=1, value="")
    found.add("status_page", slug="public", title="Example", icon="/i.svg", theme="auto", description="All of it")
    found.add("status_page", slug="private", title="Secret", icon="/i.svg", theme="auto", password="pagesecret")
    found.add("group", name="Web", status_page_id=1, weight=2)
    found.add("group", name="Jobs", status_page_id=1, weight=1)
    found.add("monitor_group", monitor_id=1, group_id=1)
    found.add("monitor_group", monitor_id=3, group_id=2)
    found.add("maintenance", title="Weekly work", description="updates", strategy="recurring-weekday",
              start_time="02:00:00", end_time="04:00:00", weekdays="[1]", timezone="Europe/Berlin",
              start_date="2029-12-01 00:00:00", end_date="2030-03-01 00:00:00")  # fmt: skip
    found.add("maintenance", title="Sundays", description="", strategy="recurring-weekday",
              start_time="02:00:00", end_time="04:00:00", weekdays="[0]", timezone="UTC")  # fmt: skip
    found.add("maintenance", title="Once", description="", strategy="single", start_date="2030-01-02 03:00:00",
              end_date="2030-01-02 05:00:00", timezone="UTC")  # fmt: skip
    found.add("maintenance", title="Odd", description="", strategy="cron", cron="0 3 * * *", duration=3600)
    found.add("monitor_maintenance", monitor_id=1, maintenance_id=1)
    return found


def test_a_database_brings_pages_and_maintenance_too(tmp_path: Path, capfd: Capture) -> None:
    path = database(tmp_path).close()
    found = import_file(tmp_path, capfd, "kuma", str(path))
    site = found.file["monitors"]["Site"]
    assert site["http"] == {
        "url": "https://example.org",
        "proxy": "http://me:${env:KUMA_PROXY_1_PASSWORD}@proxy.example.org:3128",
    }
    assert site["tags"] == ["customer"]
    assert site["labels"]["group"] == "Everything"
    assert found.file["monitors"]["Everything"]["group"] == {"members": ["Site"], "up": "all"}
    page = found.file["status_pages"]
    assert page == {
        "public": {
            "title": "Example",
            "description": "All of it",
            "components": [
                {"name": "Job", "heartbeats": ["Job"], "group": "Jobs"},
                {"name": "Site", "monitors": ["Site"], "group": "Web"},
            ],
        }
    }
    assert found.file["windows"] == {
        "Weekly-work": {
            "rule": "monday 02:00-04:00",
            "timezone": "Europe/Berlin",
            "from": "2029-12-01T00:00:00+01:00",
            "until": "2030-03-01T00:00:00+01:00",
            "covers": ['monitor=~"Site"'],
            "description": "updates",
        },
        "Sundays": {"rule": "sunday 02:00-04:00"},
        "Once": {"from": "2030-01-02T03:00:00+00:00", "until": "2030-01-02T05:00:00+00:00"},
    }
    holds_none_of(found, ["dbpushsecret", "hooksecret", "pagesecret", "proxysecret", "kumahash"])
    assert found.why("maintenance.4.cron").startswith("not carried: maintenance by `cron`")
    assert found.why("status_page.2.title").startswith("not carried: it has a password")
    assert found.why("other tables.user").startswith("not carried: people, keys")


def test_the_database_is_only_read(tmp_path: Path, capfd: Capture) -> None:
    path = database(tmp_path).close()
    before = path.read_bytes()
    path.chmod(0o400)
    import_file(tmp_path, capfd, "kuma", str(path))
    assert path.read_bytes() == before
    assert sorted(one.name for one in tmp_path.glob("kuma.db*")) == ["kuma.db"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "backup.json:1:1: error: this is not JSON"),
        (b'{"monitorList": [}', "backup.json:1:18: error: this is not JSON: Expecting value"),
        (b'{"monitors": []}', "backup.json:1:1: error: this is not a backup of Uptime Kuma"),
        (b'{"monitorList":\n [5]}', "must be a mapping"),
        (b"\xff\xfe", "not UTF-8 text"),
        (b"SQLite format 3\0" + b"x" * 100, "cannot be read as a database"),
    ],
)
def test_a_broken_source_is_told_with_its_place(tmp_path: Path, capfd: Capture, content: bytes, words: str) -> None:
    path = tmp_path / "backup.json"
    path.write_bytes(content)
    found = import_file(tmp_path, capfd, "kuma", str(path))
    assert found.code in (1, 2)
    assert words in found.told


def fill_days(found: KumaDatabase, today: int) -> None:
    """Yesterday: 100 good minutes, then 10 bad ones. The day before: good, its first beat after a gap of two days."""
    yesterday = today - DAY
    found.beat(1, yesterday - DAY + 3_600, 1, 50, 2 * DAY)
    for minute in range(110):
        status = 1 if minute < 100 else 0
        found.beat(1, yesterday + 60 * (minute + 1), status, 100 + minute if status else None, 60)
    found.beat(1, yesterday + 7200, 3, None, 600)
    found.beat(1, today + 60, 1, 70, 60)
    found.beat(2, yesterday + 60, 2, None, 60)


def apply_file(path: Path) -> None:
    actor = command("tests")
    apply(actor, plan_reading(actor, read_paths([str(path)]), Terms("file", str(path))))


def test_history_is_loaded_in_two_steps(tmp_path: Path, capfd: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    today = int(time.time()) // DAY * DAY
    source = database(tmp_path)
    fill_days(source, today)
    path, days = source.close(), tmp_path / "days.jsonl"
    found = import_file(tmp_path, capfd, "kuma", str(path), "--days", str(days))
    assert found.report["history"] == {"file": str(days), "monitors": 2, "days": 4, "checks": 114}
    assert "History: 4 days of 2 monitors, 114 checks" in found.told
    apply_file(tmp_path / "out.yaml")

    settings = current_settings()
    monkeypatch.setenv("MAINSTAY_DATA", str(settings.data))
    monkeypatch.setenv("MAINSTAY_DATABASE", settings.database)
    (settings.data / "telemetry.duckdb").unlink(missing_ok=True)

    def load(file: Path) -> str:
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            run(["import", "kuma", str(file), "--history"])
        printed = capfd.readouterr()
        assert not ended.value.code, printed.err
        return printed.out

    assert load(days) == "Loaded 3 days.\nLeft out, of today or older than MAINSTAY_DAY_DAYS keeps them: 1 day.\n"
    assert "Loaded 0 days.\nAlready known, left unchanged: 3 days." in load(path)
    uid = queries.resource("monitor", "Site").uid
    store = Results.embedded(settings.data / "telemetry.duckdb")
    try:
        bars = {int(bar.at): bar.uptime for bar in store.bars([uid], 4, float(today + 100))[uid]}
    finally:
        store.close()
        (settings.data / "telemetry.duckdb").unlink()
    assert bars[today - DAY].seconds == {"up": 6000.0, "down": 600.0, "maintenance": 600.0}
    assert (bars[today - DAY].checks, bars[today - DAY].failures) == (111, 10)
    assert bars[today - DAY].share == pytest.approx(10 / 11)
    assert bars[today - 2 * DAY].seconds == {"up": 3600.0}
    assert bars[today].checks == 0


def test_daily_statistics_of_version_two_are_read(tmp_path: Path, capfd: Capture) -> None:
    today = int(time.time()) // DAY * DAY
    source = database(tmp_path, days=True)
    source.add("stat_daily", monitor_id=1, timestamp=today - 30 * DAY, ping=120.0, up=1400, down=40, ping_min=80.0,
               ping_max=900.0)  # fmt: skip
    path, days = source.close(), tmp_path / "days.jsonl"
    import_file(tmp_path, capfd, "kuma", str(path), "--days", str(days))
    (line,) = days.read_text().splitlines()[1:]
    assert json.loads(line) == {
        "monitor": "Site",
        "at": today - 30 * DAY,
        "checks": 1440,
        "failures": 40,
        "seconds": {"up": 84_000.0, "down": 2_400.0},
        "mean": 0.12,
        "p50": 0.12,
        "p95": 0.9,
        "maximum": 0.9,
    }


def test_a_file_of_days_that_is_none_is_refused(
    tmp_path: Path, capfd: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = current_settings()
    monkeypatch.setenv("MAINSTAY_DATA", str(settings.data))
    monkeypatch.setenv("MAINSTAY_DATABASE", settings.database)
    path = tmp_path / "days.jsonl"
    for text, words in (
        ("{}\n", ":1:1: error: this is not a file of"),
        ("[\n", ":1:1: error: this line is not a JSON"),
    ):
        path.write_text(text)
        with pytest.raises(SystemExit) as ended:
            run(["import", "kuma", str(path), "--history"])
        assert ended.value.code == 2
        assert words in capfd.readouterr().err
    (settings.data / "telemetry.duckdb").unlink(missing_ok=True)


def test_a_running_server_keeps_its_history_to_itself(
    tmp_path: Path, capfd: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = current_settings()
    monkeypatch.setenv("MAINSTAY_DATA", str(settings.data))
    monkeypatch.setenv("MAINSTAY_DATABASE", settings.database)
    path = database(tmp_path).close()

    def locked(*_arguments: object, **_named: object) -> None:
        import duckdb

        raise duckdb.IOException("IO Error: Could not set lock on file")

    monkeypatch.setattr("mainstay.store.columns.opening.DuckEngine", locked)
    with pytest.raises(SystemExit) as ended:
        run(["import", "kuma", str(path), "--history"])
    assert ended.value.code == 1
    assert "stop it, load the history, and start it" in capfd.readouterr().err


def test_a_backup_holds_no_history(tmp_path: Path, capfd: Capture) -> None:
    path = write_backup(tmp_path)
    found = import_file(tmp_path, capfd, "kuma", str(path), "--days", str(tmp_path / "days"))
    assert (found.code, "a backup holds no history" in found.told) == (1, True)


def test_a_database_of_something_else_is_refused(tmp_path: Path, capfd: Capture) -> None:
    path = tmp_path / "other.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE x (y)")
    connection.commit()
    connection.close()
    found = import_file(tmp_path, capfd, "kuma", str(path))
    assert "is not a database of Uptime Kuma" in found.told


def test_other_kinds_of_checks_where_this_install_has_them(tmp_path: Path, capfd: Capture) -> None:
    listed = [
        monitor(
            1, "my", type="mysql", databaseConnectionString="mysql://me:pw-secret@db:3307/app", databaseQuery="SELECT 1"
        ),
        monitor(2, "pg", type="postgres", databaseConnectionString="postgres://me:pw-secret@db/app?sslmode=disable"),
        monitor(3, "redis", type="redis", databaseConnectionString="rediss://:pw-secret@r.example.org/2"),
        monitor(4, "docker", type="docker", docker_container="web", docker_host=1),
        monitor(
            5, "mqtt", type="mqtt", hostname="mqtt://b.example.org", port=1883, mqttTopic="a", mqttSuccessMessage="ok"
        ),
        monitor(6, "grpc", type="grpc-keyword", grpcUrl="grpcs://g.example.org:443", grpcEnableTls=True),
        monitor(7, "smtp", type="smtp", hostname="mx.example.org", port=587, smtpSecurity="secure"),
        monitor(8, "ws", type="websocket-upgrade", url="wss://ws.example.org/x"),
        monitor(9, "odd", type="postgres", databaseConnectionString="host=x password=pw-secret"),
    ]
    path = tmp_path / "backup.json"
    path.write_text(json.dumps(backup(listed)))
    found = import_file(tmp_path, capfd, "kuma", str(path))
    wanted: dict[str, object] = {
        "mysql": {
            "address": "db:3307",
            "username": "me",
            "password": "${env:KUMA_MY_PASSWORD}",
            "database": "app",
            "query": "SELECT 1",
        },
        "postgres": {"address": "db:5432", "username": "me", "password": "${env:KUMA_MY_PASSWORD}", "database": "app"},
        "redis": {"address": "r.example.org:6379", "password": "${env:KUMA_MY_PASSWORD}", "database": 2, "tls": True},
        "docker": "web",
        "mqtt": {"address": "b.example.org:1883", "topic": "a"},
        "grpc": {"address": "g.example.org:443", "tls": True},
        "smtp": {"address": "mx.example.org:587", "security": "tls"},
        "websocket": "wss://ws.example.org/x",
    }
    made = {kind: one[kind] for one in found.file["monitors"].values() for kind in wanted if kind in one}
    assert made == {kind: target for kind, target in wanted.items() if kind in check_kinds()}
    assert found.why("monitor.9.databaseConnectionString").startswith("not carried: its connection string is not a URL")
    assert found.secrets == {"KUMA_MY_PASSWORD": "monitor.1.databaseConnectionString"}
    holds_none_of(found, ["pw-secret"])


def test_a_thousand_monitors(tmp_path: Path) -> None:
    """The figure is 5 s for the whole command; it is printed, since a busy machine says little of the program."""
    path, out, report = tmp_path / "backup.json", tmp_path / "out.yaml", tmp_path / "report.json"
    listed = [monitor(number, f"Monitor {number}", url=f"https://example.org/{number}") for number in range(1000)]
    path.write_text(json.dumps(backup(listed), indent=4))
    began = time.monotonic()
    line = [sys.executable, "-m", "mainstay", "import", "kuma", str(path), "-o", str(out), "--report", str(report)]
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    print(f"1,000 monitors in {time.monotonic() - began:.2f} s")
    assert "Made 1,000 monitors" in done.stderr
    assert len(json.loads(report.read_text())["rows"]) > 50_000

"""What comes from accounts elsewhere: Healthchecks over its API, UptimeRobot by its exports."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from tests.rigs.importing import holds_none_of, import_file, tells_every_leaf

pytestmark = pytest.mark.usefixtures("store")
Capture = pytest.CaptureFixture[str]

# Answers as https://healthchecks.io/docs/api/ shows them for version 3.
CHECKS: list[dict[str, Any]] = [
    {
        "name": "Filesystem Backup",
        "slug": "filesystem-backup",
        "tags": "backup fs",
        "desc": "Runs incremental backup every hour",
        "grace": 600,
        "n_pings": 1,
        "status": "up",
        "started": False,
        "last_ping": "2020-03-24T14:02:03+00:00",
        "next_ping": "2020-03-24T15:02:03+00:00",
        "manual_resume": False,
        "methods": "",
        "subject": "",
        "subject_fail": "",
        "start_kw": "START",
        "success_kw": "SUCCESS",
        "failure_kw": "ERROR",
        "filter_subject": True,
        "filter_body": False,
        "filter_http_body": False,
        "filter_default_fail": False,
        "badge_url": "https://healthchecks.io/b/2/x.svg",
        "uuid": "31365bce-8da9-4729-8ff3-aaa71d56b712",
        "ping_url": "https://hc-ping.com/31365bce-8da9-4729-8ff3-aaa71d56b712",
        "update_url": "https://healthchecks.io/api/v3/checks/31365bce-8da9-4729-8ff3-aaa71d56b712",
        "pause_url": "https://healthchecks.io/api/v3/checks/31365bce-8da9-4729-8ff3-aaa71d56b712/pause",
        "resume_url": "https://healthchecks.io/api/v3/checks/31365bce-8da9-4729-8ff3-aaa71d56b712/resume",
        "channels": "1bdea674-0a1c-4a1c-8f55-0e2f2ba1b4c8,8b9e3c7e-4f5a-4a2f-9b1a-0a9b8c7d6e5f",
        "timeout": 3600,
    },
    {
        "name": "",
        "slug": "db",
        "tags": "",
        "desc": "",
        "grace": 3600,
        "status": "paused",
        "manual_resume": True,
        "methods": "POST",
        "uuid": "803f680d-e89b-492b-82ef-2be7b774a92d",
        "channels": "",
        "schedule": "15 5 * * *",
        "tz": "Europe/Riga",
    },
    {
        "name": "Systemd",
        "slug": "systemd",
        "uuid": "903f680d-e89b-492b-82ef-2be7b774a92d",
        "grace": 60,
        "status": "new",
        "schedule": "*-*-* 02:00",
        "tz": "UTC",
        "channels": "",
    },
    {
        "name": "Never",
        "uuid": "a03f680d-e89b-492b-82ef-2be7b774a92d",
        "grace": 60,
        "schedule": "*-02-30",
        "tz": "UTC",
    },
    {"name": "Read only", "unique_key": "a6c7b0a8a66bed0df66abfdab3c77736861703ee", "grace": 60, "timeout": 86400},
]
CHANNELS = [
    {"id": "1bdea674-0a1c-4a1c-8f55-0e2f2ba1b4c8", "name": "", "kind": "email"},
    {"id": "8b9e3c7e-4f5a-4a2f-9b1a-0a9b8c7d6e5f", "name": "Ops chat", "kind": "slack"},
    {"id": "c0ffee00-0000-4000-8000-000000000000", "name": "Pager", "kind": "pd"},
    {"id": "c0ffee00-0000-4000-8000-000000000001", "name": "Shell", "kind": "shell"},
]


class _Api(BaseHTTPRequestHandler):
    answers: ClassVar[dict[str, Any]] = {}
    status: ClassVar[int] = 200

    def do_GET(self) -> None:
        if self.headers["X-Api-Key"] != "apisecret":
            self._answer(401, {"error": "wrong api key"})
        elif self.status in (301, 302):
            self.send_response(self.status)
            self.send_header("Location", "http://127.0.0.1:1/")
            self.end_headers()
        else:
            self._answer(self.status, self.answers.get(self.path, {"error": "not found"}))

    def _answer(self, status: int, document: Any) -> None:
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: Any) -> None:
        return


@contextmanager
def serving(answers: dict[str, Any], status: int = 200) -> Iterator[str]:
    handler = type("Api", (_Api,), {"answers": answers, "status": status})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


GOOD = {"/api/v3/checks/": {"checks": CHECKS}, "/api/v3/channels/": {"channels": CHANNELS}}


def test_checks_keep_their_addresses(tmp_path: Path, capfd: Capture) -> None:
    with serving(GOOD) as url:
        found = import_file(tmp_path, capfd, "healthchecks", "--url", url, "--key", "apisecret")
    heartbeats = found.file["heartbeats"]
    assert heartbeats["Filesystem-Backup"] == {
        "title": "Filesystem Backup",
        "every": "1h",
        "grace": "10m",
        "uuid": "31365bce-8da9-4729-8ff3-aaa71d56b712",
        "slug": "filesystem-backup",
        "keywords": {"start": "START", "success": "SUCCESS", "failure": "ERROR", "subject": True},
        "tags": ["backup", "fs"],
        "description": "Runs incremental backup every hour",
        "labels": {"notify_email": "yes", "notify_Ops_chat": "yes"},
    }
    assert heartbeats["db"] == {
        "cron": "15 5 * * *",
        "timezone": "Europe/Riga",
        "grace": "1h",
        "uuid": "803f680d-e89b-492b-82ef-2be7b774a92d",
        "slug": "db",
        "methods": "POST",
        "manual_resume": True,
        "begins_paused": True,
    }
    assert heartbeats["Read-only"]["every"] == "1d"
    assert found.file["channels"] == {
        "email": {"email": {"to": ["${env:HEALTHCHECKS_EMAIL_ADDRESS}"]}},
        "Ops-chat": {"slack": {"url": "${env:HEALTHCHECKS_OPS_CHAT_URL}"}},
        "Pager": {"pagerduty": {"routing_key": "${env:HEALTHCHECKS_PAGER_KEY}"}},
    }
    tells_every_leaf(found, {"checks": CHECKS, "channels": CHANNELS})
    holds_none_of(found, ["apisecret"])
    assert heartbeats["Systemd"]["on_calendar"] == "*-*-* 02:00"
    assert found.why("checks.3.schedule").startswith("not carried: its schedule cannot be read: `*-02-30` never occurs")
    assert found.why("checks.4.unique_key").startswith("not carried: a read-only key")
    assert found.why("channels.3.kind") == "not carried: Mainstay has no channel for shell"


@pytest.mark.parametrize(
    ("answers", "status", "key", "words"),
    [
        (GOOD, 200, "wrong", "answered 401"),
        (GOOD, 500, "apisecret", "answered 500"),
        (GOOD, 302, "apisecret", "answered 302"),
        ({}, 200, "apisecret", "does not answer as Healthchecks does"),
        ({"/api/v3/checks/": b"<html>"}, 200, "apisecret", "does not answer with JSON"),
    ],
)
def test_what_is_no_healthchecks_is_told(
    tmp_path: Path, capfd: Capture, answers: dict[str, Any], status: int, key: str, words: str
) -> None:
    with serving(answers, status) as url:
        found = import_file(tmp_path, capfd, "healthchecks", "--url", url, "--key", key)
    assert found.code == 1
    assert words in found.told
    assert key not in found.told


def test_nobody_there_is_told(tmp_path: Path, capfd: Capture) -> None:
    found = import_file(tmp_path, capfd, "healthchecks", "--url", "http://127.0.0.1:1", "--key", "k")
    assert (found.code, "cannot be reached" in found.told) == (1, True)
    found = import_file(tmp_path, capfd, "healthchecks", "--url", "ftp://x", "--key", "k")
    assert (found.code, "must begin with http" in found.told) == (1, True)


CSV = """\
Type,Friendly Name,URL/IP,Keyword Type,Keyword Value,Port,Interval,Status,HTTP Username,HTTP Password,Tags,Surprise
HTTP(s),My site,https://example.org,,,,300,Up,me,csvsecret,"web, shop",x
Keyword,Words,https://example.org/k,not exists,Welcome,,5 min,Paused,,,,
Keyword,No errors,https://example.org/e,exists,Error,,60,Up,,,,
Ping,Ping,example.org,,,,60,Up,,,,
Port,Mail,mail.example.org,,,25,60,Up,,,,
Heartbeat,Nightly job,https://heartbeat.uptimerobot.com/m1-x,,,,86400,Up,,,,
Quantum,Odd,https://example.org,,,,60,Up,,,,
"""
API: dict[str, Any] = {
    "stat": "ok",
    "pagination": {"offset": 0, "limit": 50, "total": 2},
    "monitors": [
        {
            "id": 777749809,
            "friendly_name": "Google",
            "url": "http://www.google.com",
            "type": 2,
            "sub_type": "",
            "keyword_type": 2,
            "keyword_case_type": 1,
            "keyword_value": "Search",
            "http_username": "me",
            "http_password": "v2secret",
            "http_auth_type": 2,
            "http_method": 3,
            "port": "",
            "interval": 900,
            "timeout": 30,
            "status": 2,
            "create_datetime": 1462565497,
            "alert_contacts": [
                {"id": "1", "value": "ops@example.org", "type": 2, "threshold": 0, "recurrence": 0},
                {"id": "2", "value": "https://hooks.slack.com/v2hook", "type": 11},
                {"id": "3", "value": "https://x.example/v2webhook", "type": 5},
                {"id": "4", "value": "+100", "type": 8},
            ],
        },
        {"id": 1, "friendly_name": "SMTP", "url": "mail.example.org", "type": 4, "sub_type": 4, "interval": 300},
    ],
}


def test_an_export_in_csv(tmp_path: Path, capfd: Capture) -> None:
    path = tmp_path / "monitors.csv"
    path.write_text(CSV)
    found = import_file(tmp_path, capfd, "uptimerobot", str(path))
    monitors = found.file["monitors"]
    assert monitors["My-site"] == {
        "http": {
            "url": "https://example.org",
            "auth": {"basic": {"username": "me", "password": "${env:UPTIMEROBOT_MY_SITE_PASSWORD}"}},
        },
        "every": "5m",
        "tags": ["web", "shop"],
    }
    assert monitors["Words"] == {
        "http": "https://example.org/k",
        "every": "5m",
        "expect": {"contains": "Welcome"},
        "enabled": False,
    }
    assert monitors["No-errors"]["expect"] == {"not_contains": "Error"}
    assert monitors["Ping"]["icmp"] == "example.org"
    assert monitors["Mail"]["tcp"] == "mail.example.org:25"
    assert found.file["heartbeats"]["Nightly-job"] == {"title": "Nightly job", "every": "1d"}
    assert found.why("monitors.0.Surprise").startswith("not carried")
    assert found.why("monitors.6.Type").startswith("not carried: Mainstay does not know monitors of the type `Quantum`")
    assert found.rows()["monitors.6.Type"]["line"] == 8
    holds_none_of(found, ["csvsecret"])


def test_an_answer_of_the_api(tmp_path: Path, capfd: Capture) -> None:
    path = tmp_path / "monitors.json"
    path.write_text(json.dumps(API, indent=1))
    found = import_file(tmp_path, capfd, "uptimerobot", str(path))
    google = found.file["monitors"]["Google"]
    assert google["http"]["method"] == "POST"
    assert google["http"]["auth"] == {"digest": {"username": "me", "password": "${env:UPTIMEROBOT_GOOGLE_PASSWORD}"}}
    assert google["expect"] == {"regex": "(?i:Search)"}
    assert google["every"] == "15m"
    assert found.file["monitors"]["SMTP"]["tcp"] == "mail.example.org:25"
    assert found.file["channels"] == {
        "contact-1": {"email": {"to": ["ops@example.org"]}},
        "contact-2": {"slack": {"url": "${env:UPTIMEROBOT_CONTACT_2_URL}"}},
        "contact-3": {"webhook": {"url": "${env:UPTIMEROBOT_CONTACT_3_URL}"}},
    }
    tells_every_leaf(found, API)
    holds_none_of(found, ["v2secret", "v2hook", "v2webhook"])


def test_a_list_as_version_three_gives_it(tmp_path: Path, capfd: Capture) -> None:
    document = {
        "nextLink": None,
        "data": [
            {
                "id": 5,
                "friendlyName": "API",
                "url": "https://example.org",
                "type": "KEYWORD",
                "keywordType": "ALERT_EXISTS",
                "keywordValue": "oops",
                "interval": 60,
                "customHttpHeaders": {"X-Token": "v3secret"},
                "successHttpResponseCodes": ["2xx", "301"],
                "followRedirections": False,
                "tags": [{"id": 1, "name": "web"}],
                "status": "PAUSED",
            }
        ],
    }
    path = tmp_path / "v3.json"
    path.write_text(json.dumps(document))
    found = import_file(tmp_path, capfd, "uptimerobot", str(path))
    assert found.file["monitors"]["API"] == {
        "http": {
            "url": "https://example.org",
            "headers": {"X-Token": "${env:UPTIMEROBOT_API_X_TOKEN}"},
            "redirects": {"follow": False},
        },
        "every": "1m",
        "expect": {"not_contains": "oops", "status": ["200-299", 301]},
        "enabled": False,
        "tags": ["web"],
    }
    tells_every_leaf(found, document)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ":1:1: error: the columns of the type and of the URL are missing"),
        ("Name,Value\nx,y\n", "the columns of the type and of the URL are missing"),
        ("Type,URL\nHTTP,https://example.org,too many\n", ":2:1: error: the line has more fields"),
        ('Type,URL\nHTTP,"open\n', "this is not CSV"),
        (
            "Type,Name,URL,Interval\nHTTP,x,https://example.org,soon\n",
            ":2:1: error: `soon` is not a duration in seconds",
        ),
        ("Type,Name,URL\nHTTP,x,\n", ":2:1: error: a monitor needs a URL"),
        ('{"stat": "fail"}', "it has neither `monitors` nor `data`"),
        ('{"monitors": [}', ":1:15: error: this is not JSON"),
        ('{"monitors": [], "monitors": []}', "a key occurs twice"),
    ],
)
def test_broken_exports_are_told(tmp_path: Path, capfd: Capture, text: str, words: str) -> None:
    path = tmp_path / "export"
    path.write_text(text)
    found = import_file(tmp_path, capfd, "uptimerobot", str(path))
    assert found.code == 2
    assert words in found.told

"""The blackbox exporter's modules, and Prometheus' jobs that go through it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from tests.rigs.importing import holds_none_of, import_file, tells_every_leaf

pytestmark = pytest.mark.usefixtures("store")
Capture = pytest.CaptureFixture[str]
MODULES = Path("tests/data/imports/blackbox.yml")
JOBS = Path("tests/data/imports/prometheus.yml")
SECRETS = ("modulesecret", "basicsecret", "bearersecret", "promsecret", "tokensecret")


def test_modules_without_targets_become_templates(tmp_path: Path, capfd: Capture) -> None:
    found = import_file(tmp_path, capfd, "blackbox", str(MODULES))
    assert found.file.keys() == {"x-modules"}
    templates = found.file["x-modules"]
    assert templates["http_2xx"]["http"]["auth"] == {
        "basic": {"username": "probe", "password": "${env:BLACKBOX_HTTP_2XX_PASSWORD}"}
    }
    assert templates["smtp_starttls"] == {"smtp": {"security": "starttls"}}
    assert templates["icmp"] == {"icmp": {"size": 100, "dont_fragment": True}}
    assert "socket" not in templates
    tells_every_leaf(found, yaml.safe_load(MODULES.read_text()))
    holds_none_of(found, SECRETS)
    assert found.why("modules.socket.prober") == "not carried: Mainstay has no check for the prober `unix`"
    assert templates["http_2xx"]["expect"]["header_patterns"][0] == {
        "name": "Set-Cookie", "regex": ".*", "found": False, "optional": True,
    }  # fmt: skip


def test_modules_with_targets_become_monitors(tmp_path: Path, capfd: Capture) -> None:
    targets = {
        "http_2xx": "https://example.org/x",
        "http_post": "example.org",
        "tcp_connect": "db:5432",
        "irc_banner": "irc:6667",
        "icmp": "example.net",
        "dns_soa": "192.0.2.1",
        "grpc_health": "g:443",
    }
    arguments = [part for name, target in targets.items() for part in ("--target", f"{name}={target}")]
    found = import_file(tmp_path, capfd, "blackbox", str(MODULES), *arguments)
    monitors = found.file["monitors"]
    site = monitors["example.org-x"]
    assert site["timeout"] == "5s"
    assert site["http"]["url"] == "https://example.org/x"
    assert site["http"]["ip_version"] == 4
    assert site["expect"]["status"] == "200-299"
    assert site["expect"]["header_patterns"][1] == {
        "name": "Access-Control-Allow-Origin", "regex": r"(\*|example\.com)",
    }  # fmt: skip
    assert site["expect"]["not_regex"] == "Could not connect to database"
    loud, welcome = (re.compile(pattern) for pattern in site["expect"]["regex"])
    assert loud.search("DOWNLOAD the latest version here")
    assert welcome.search("a welcome\nto all")
    assert site["expect"]["protocol"] == ["1.1", "2"]
    assert site["expect"]["tls"] is True
    assert site["http"]["http_version"] == "2"
    assert monitors["example.org"]["http"]["url"] == "http://example.org"
    assert monitors["example.org"]["expect"] == {"status": "200-202", "regex": "ok"}
    assert monitors["db-5432"] == {"tcp": "db:5432", "timeout": "3s"}
    assert monitors["irc-6667"] == {
        "tcp": {
            "address": "irc:6667",
            "talk": [
                {"send": "NICK prober"},
                {"send": "USER prober prober prober :prober"},
                {"expect": "PING :([^ ]+)", "send": "PONG ${1}"},
                {"expect": "^:[^ ]+ 001"},
            ],
        },
    }
    assert monitors["192.0.2.1"]["dns"] == {
        "name": "example.com",
        "type": "SOA",
        "resolver": "192.0.2.1",
        "protocol": "tcp",
    }
    assert monitors["192.0.2.1"]["expect"] == {
        "min_answers": 0, "rcode": ["NOERROR", "NXDOMAIN"], "answer": {"each": [".*SOA.*"]},
    }  # fmt: skip
    assert monitors["g-443"]["grpc"] == {
        "address": "g:443",
        "service": "shop.v1.Orders",
        "tls": True,
        "verify": False,
    }
    assert found.why("modules.http_2xx.http.fail_if_not_ssl").startswith("carried")


def test_jobs_become_monitors_by_their_modules(tmp_path: Path, capfd: Capture) -> None:
    found = import_file(tmp_path, capfd, "prometheus", str(JOBS), "--blackbox", str(MODULES))
    monitors = found.file["monitors"]
    assert monitors.keys() == {"example.org-health", "example.net", "db.example.org-5432", "192.0.2.53"}
    assert monitors["example.org-health"]["every"] == "1m"
    assert monitors["example.org-health"]["timeout"] == "5s"
    assert monitors["example.org-health"]["labels"] == {"job": "sites", "team": "web"}
    assert monitors["example.net"]["http"]["url"] == "https://example.net/?token=${env:PROMETHEUS_EXAMPLE_NET_TOKEN}"
    assert monitors["example.net"]["http"]["auth"]["basic"]["username"] == "user"
    assert monitors["db.example.org-5432"]["every"] == "30s"
    both = {**yaml.safe_load(JOBS.read_text()), "blackbox": yaml.safe_load(MODULES.read_text())}
    tells_every_leaf(found, both)
    holds_none_of(found, SECRETS)
    assert found.why("scrape_configs.0.job_name").startswith("not carried: Mainstay does not scrape metrics")
    assert found.why("scrape_configs.2.file_sd_configs.0.files.0").startswith(
        "not carried: targets found by service discovery"
    )
    assert found.why("scrape_configs.3.static_configs.0.targets.1").startswith(
        "not carried: a resolver must be given by"
    )
    assert found.why("blackbox.modules.http_post.prober") == "not carried: no job uses this module"
    row = found.rows()["blackbox.modules.http_2xx.timeout"]
    assert (row["file"], row["line"], row["status"]) == (str(MODULES), 4, "carried")


def test_jobs_without_the_exporters_file_take_its_standard_modules(tmp_path: Path, capfd: Capture) -> None:
    found = import_file(tmp_path, capfd, "prometheus", str(JOBS))
    assert found.file["monitors"]["example.org-health"]["http"] == "https://example.org/health"
    assert found.why("scrape_configs.1.params.module.0").startswith("approximated: as in the exporter's default file")
    assert found.why("scrape_configs.3.static_configs.0.targets.0").startswith("not carried: its module is not known")
    tells_every_leaf(found, yaml.safe_load(JOBS.read_text()))


@pytest.mark.parametrize(
    ("command", "text", "words"),
    [
        ("blackbox", "x: 1", "error: this is not a configuration of the blackbox exporter: it has no `modules`"),
        ("blackbox", "modules: {a: 5}", ":1:14: error: the module `a` must be a mapping"),
        ("blackbox", "modules: {a: {prober: http, timeout: soon}}", ":1:38: error: `soon` is not a duration"),
        (
            "blackbox",
            "modules: {a: {prober: http, http: {valid_status_codes: [ok]}}}",
            "`valid_status_codes` must be a list of numbers",
        ),
        ("prometheus", "scrape_configs: {}", ":1:17: error: `scrape_configs` must be a list"),
        ("prometheus", "scrape_config: []", "this is not a configuration of Prometheus: it has no `scrape_configs`"),
        ("gatus", "monitors: {}", "this is not a configuration of Gatus: it has no `endpoints` or"),
        ("prometheus", "scrape_configs:\n\t- x", ":2:1: error: this is not YAML"),
    ],
)
def test_broken_input_is_told(tmp_path: Path, capfd: Capture, command: str, text: str, words: str) -> None:
    path = tmp_path / "source.yml"
    path.write_text(text)
    found = import_file(tmp_path, capfd, command, str(path))
    assert found.code == 2
    assert words in found.told


def test_a_target_names_its_module(tmp_path: Path, capfd: Capture) -> None:
    found = import_file(tmp_path, capfd, "blackbox", str(MODULES), "--target", "https://example.org")
    assert found.code == 1
    assert "write MODULE=TARGET; modules are http_2xx" in found.told

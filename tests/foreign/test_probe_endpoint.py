"""`/probe` against real targets, and beside Debian's prometheus-blackbox-exporter where it is installed."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import urlencode

import pytest
import trustme
from tests.rigs.check_servers import context_with, free_port, tcp_server, until_closed
from tests.rigs.dns_server import responder
from tests.rigs.exposition_reader import Read, parse

from mainstay.foreign.compat.probe import MODULES, Answered, probe_response, scrape_limit
from mainstay.integrations.addresses import Guard
from mainstay.integrations.lookup import Lookup
from mainstay.kernel.probing import CheckOrder, CheckResult
from mainstay.watch.prober.context import Context
from mainstay.watch.prober.dispatch import prepare


class Pages(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b"hello world\n"
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(503 if self.path == "/broken" else 200)
        if self.path != "/endless":
            self.send_header("Content-Length", str(len(body)))
        self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Quiet."""


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[trustme.CA, str]:
    made = trustme.CA()
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    made.cert_pem.write_to_path(path)
    return made, str(path)


@pytest.fixture(scope="module")
def web(authority: tuple[trustme.CA, str]) -> Iterator[dict[str, str]]:
    servers = [ThreadingHTTPServer(("127.0.0.1", 0), Pages) for _ in range(2)]
    secured = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority[0].issue_cert("localhost", "127.0.0.1").configure_cert(secured)
    servers[1].socket = secured.wrap_socket(servers[1].socket, server_side=True)
    threads = [Thread(target=server.serve_forever, args=(0.05,)) for server in servers]
    for thread in threads:
        thread.start()
    yield {
        "http": f"http://127.0.0.1:{servers[0].server_address[1]}",
        "https": f"https://127.0.0.1:{servers[1].server_address[1]}",
        "tls": f"127.0.0.1:{servers[1].server_address[1]}",
    }
    for server, thread in zip(servers, threads, strict=True):
        server.shutdown()
        thread.join()
        server.server_close()


def ask(query: dict[str, str], headers: dict[str, str] | None = None, context: Context | None = None) -> Answered:
    async def answer() -> Answered:
        lent = context or Context(Guard(), Lookup())

        async def run_once(order: CheckOrder) -> CheckResult:
            return await prepare(order).run(lent)

        return await probe_response(query, headers or {}, run_once)

    return asyncio.run(answer())


def values(families: dict[str, Read], name: str) -> dict[str, float]:
    """Values by the only label's value, or under the empty string."""
    return {(labels[0][1] if labels else ""): value for (_, labels), value in families[name].samples.items()}


def test_a_page(web: dict[str, str]) -> None:
    answered = ask({"target": web["http"], "module": "http_2xx"})
    assert (answered.status, answered.content_type) == (200, "text/plain; version=0.0.4; charset=utf-8")
    families = parse(answered.body)
    assert values(families, "probe_success") == {"": 1}
    assert values(families, "probe_http_status_code") == {"": 200}
    assert values(families, "probe_http_content_length") == {"": 12}
    assert values(families, "probe_http_uncompressed_body_length") == {"": 12}
    assert values(families, "probe_http_last_modified_timestamp_seconds") == {"": 1767225600}
    assert values(families, "probe_http_ssl") == {"": 0}
    assert values(families, "probe_http_version") == {"": 1}
    assert set(values(families, "probe_http_duration_seconds")) == {
        "resolve",
        "connect",
        "tls",
        "processing",
        "transfer",
    }
    assert values(families, "probe_duration_seconds")[""] > 0


def test_the_module_is_http_2xx_and_the_scheme_http_unless_given(web: dict[str, str]) -> None:
    families = parse(ask({"target": web["http"].removeprefix("http://")}).body)
    assert values(families, "probe_success") == {"": 1}


def test_redirects_lengths_and_failures(web: dict[str, str]) -> None:
    moved = parse(ask({"target": web["http"] + "/moved"}).body)
    assert (values(moved, "probe_http_redirects"), values(moved, "probe_success")) == ({"": 1}, {"": 1})
    endless = parse(ask({"target": web["http"] + "/endless"}).body)
    assert values(endless, "probe_http_content_length") == {"": -1}
    broken = parse(ask({"target": web["http"] + "/broken"}).body)
    assert (values(broken, "probe_http_status_code"), values(broken, "probe_success")) == ({"": 503}, {"": 0})
    posted = parse(ask({"target": web["http"], "module": "http_post_2xx"}).body)
    assert values(posted, "probe_success") == {"": 1}


def test_https_tells_the_certificate(web: dict[str, str], authority: tuple[trustme.CA, str]) -> None:
    families = parse(ask({"target": web["https"]}, context=Context(ca_file=authority[1])).body)
    assert values(families, "probe_success") == {"": 1}
    assert values(families, "probe_http_ssl") == {"": 1}
    assert values(families, "probe_tls_version_info") == {"TLS 1.3": 1}
    expiry = values(families, "probe_ssl_earliest_cert_expiry")[""]
    assert expiry == values(families, "probe_ssl_last_chain_expiry_timestamp_seconds")[""] > time.time()
    (labels,) = [dict(labels) for _, labels in families["probe_ssl_last_chain_info"].samples]
    assert set(labels) == {"fingerprint_sha256", "issuer", "serialnumber", "subject", "subjectalternative"}
    assert labels["subjectalternative"] == "localhost"
    with socket.create_connection(("127.0.0.1", int(web["https"].rpartition(":")[2]))) as plain:
        trusting = ssl.create_default_context(cafile=authority[1])
        with trusting.wrap_socket(plain, server_hostname="localhost") as secured:
            shown = secured.getpeercert() or {}
    assert labels["serialnumber"] == str(shown["serialNumber"]).lower()
    assert values(families, "probe_tls_cipher_info") == {"TLS_AES_256_GCM_SHA384": 1}
    assert values(families, "probe_timeout_seconds") == {"": 119.5}
    assert values(parse(ask({"target": web["https"]}).body), "probe_success") == {"": 0}


@pytest.mark.parametrize(
    ("query", "status", "body"),
    [
        ({}, 400, "Target parameter is missing\n"),
        ({"module": "icmp"}, 400, "Target parameter is missing\n"),
        ({"target": "x", "module": "nope"}, 400, 'Unknown module "nope"\n'),
        ({"target": "x" * 2001}, 400, "Target parameter must be at most 2000 printable characters\n"),
        ({"target": "http://x\r\ny"}, 400, "Target parameter must be at most 2000 printable characters\n"),
    ],
)
def test_wrong_questions(query: dict[str, str], status: int, body: str) -> None:
    assert ask(query) == Answered(status, body)


@pytest.mark.parametrize("target", ["http://", "::::", "http://[", "-", "\u2603", "file:///etc/passwd"])
def test_targets_that_are_none_fail_as_a_probe(target: str) -> None:
    for module in MODULES:
        answered = ask({"target": target, "module": module}, {"x-prometheus-scrape-timeout-seconds": "1.5"})
        assert answered.status == 200
        assert values(parse(answered.body), "probe_success") == {"": 0}


def test_the_scrapes_own_timeout_bounds_the_probe() -> None:
    with tcp_server(until_closed) as port:
        began = time.monotonic()
        answered = ask({"target": f"http://127.0.0.1:{port}"}, {"x-prometheus-scrape-timeout-seconds": "0.8"})
        assert time.monotonic() - began < 30
    assert values(parse(answered.body), "probe_success") == {"": 0}
    assert ask({"target": "x"}, {"x-prometheus-scrape-timeout-seconds": "soon"}).status == 500


@pytest.mark.parametrize(
    ("header", "limit"),
    [(None, 119.5), ("", 119.5), ("10", 9.5), ("0.2", 0.1), ("0", 119.5), ("-1", 119.5), ("1e9", 119.5), ("nan", None)],
)
def test_scrape_limits(header: str | None, limit: float | None) -> None:
    assert scrape_limit(header) == limit


def test_debug_explains(web: dict[str, str]) -> None:
    body = ask({"target": web["http"] + "/broken", "debug": "true"}).body
    assert body.startswith("Logs for the probe:\n")
    assert "\n\n\n\nMetrics that would have been returned:\n# HELP " in body
    assert "\n\n\nModule configuration:\n" in body
    assert "code=expect.status" in body
    assert 'msg="Probe failed"' in body


def test_a_closed_address_fails(web: dict[str, str]) -> None:
    answered = ask({"target": web["http"], "debug": "true"}, context=context_with(allow=""))
    assert "code=check.address_refused" in answered.body
    assert "probe_success 0" in answered.body


EXPORTER = shutil.which("prometheus-blackbox-exporter")
CONFIGURATION = """
modules:
  http_2xx: {prober: http}
  http_post_2xx: {prober: http, http: {method: POST}}
  http_2xx_insecure: {prober: http, http: {tls_config: {insecure_skip_verify: true}}}
  tcp_connect: {prober: tcp}
  tls_connect: {prober: tcp, tcp: {tls: true}}
  pop3s_banner: {prober: tcp, tcp: {tls: true, query_response: [{expect: "^+OK"}]}}
  ssh_banner: {prober: tcp, tcp: {query_response: [{expect: "^SSH-2.0-", send: "SSH-2.0-blackbox-ssh-check"}]}}
  dns_udp: {prober: dns, dns: {query_name: ".", query_type: NS}}
  dns_tcp: {prober: dns, dns: {query_name: ".", query_type: NS, transport_protocol: tcp}}
  dns_soa: {prober: dns, dns: {query_name: ".", query_type: SOA}}
  icmp: {prober: icmp}
"""


@pytest.fixture(scope="module")
def exporter(tmp_path_factory: pytest.TempPathFactory, authority: tuple[trustme.CA, str]) -> Iterator[str]:
    if EXPORTER is None:
        pytest.skip(
            "NOT COMPARED: prometheus-blackbox-exporter is not installed (apt install prometheus-blackbox-exporter)"
        )
    folder = tmp_path_factory.mktemp("exporter")
    (folder / "modules.yml").write_text(CONFIGURATION)
    port = free_port()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [EXPORTER, f"--config.file={folder / 'modules.yml'}", f"--web.listen-address=127.0.0.1:{port}"],
            env={"SSL_CERT_FILE": authority[1]},
            stdout=log,
            stderr=log,
        )
        try:
            deadline = time.monotonic() + 30
            while time.monotonic() < deadline:
                with socket.socket() as trying:
                    if trying.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}/probe"
        finally:
            process.terminate()
            process.wait(10)


def scrape(exporter: str, query: dict[str, str]) -> tuple[int, str, str]:
    try:
        with urllib.request.urlopen(f"{exporter}?{urlencode(query)}", timeout=20) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers["Content-Type"], error.read().decode()


# What releases of the exporter after Debian's have added.
ADDED = {"probe_timeout_seconds", "probe_failed_due_to_bytes", "probe_tls_cipher_info"}
ADDED_LABEL = "serialnumber"


def shape(text: str) -> dict[str, tuple[str, str, set[tuple[str, ...]], set[str]]]:
    """Of each family: type, help, label names, and the values of the label `phase`."""
    return {
        name: (
            read.type,
            read.help,
            {tuple(key for key, _ in labels if key != ADDED_LABEL) for _, labels in read.samples},
            {value for _, labels in read.samples for key, value in labels if key in ("phase", "version")},
        )
        for name, read in parse(text).items()
        if name not in ADDED
    }


STEADY = {  # values that must be the same whoever probes
    "probe_success",
    "probe_http_status_code",
    "probe_http_content_length",
    "probe_http_uncompressed_body_length",
    "probe_http_redirects",
    "probe_http_ssl",
    "probe_http_version",
    "probe_http_last_modified_timestamp_seconds",
    "probe_failed_due_to_regex",
    "probe_ip_protocol",
    "probe_ip_addr_hash",
    "probe_ssl_earliest_cert_expiry",
    "probe_ssl_last_chain_expiry_timestamp_seconds",
    "probe_ssl_last_chain_info",
    "probe_tls_version_info",
    "probe_dns_answer_rrs",
    "probe_dns_authority_rrs",
    "probe_dns_query_succeeded",
    "probe_icmp_reply_hop_limit",
}


def steady(text: str) -> dict[str, Any]:
    return {
        name: {
            (sample, tuple(pair for pair in labels if pair[0] != ADDED_LABEL)): value
            for (sample, labels), value in read.samples.items()
        }
        for name, read in parse(text).items()
        if name in STEADY
    }


@pytest.mark.parametrize(
    ("module", "target"),
    [
        ("http_2xx", "http"),
        ("http_2xx", "http/moved"),
        ("http_2xx", "http/broken"),
        ("http_2xx", "https"),
        ("http_2xx_insecure", "https"),
        ("http_post_2xx", "http"),
        ("http_2xx", "closed-url"),
        ("tcp_connect", "tls"),
        ("tcp_connect", "closed"),
        ("tls_connect", "tls"),
        ("ssh_banner", "ssh"),
        ("ssh_banner", "silent"),
        ("dns_udp", "dns"),
        ("dns_tcp", "dns"),
        ("dns_udp", "closed"),
        ("icmp", "127.0.0.1"),
        ("icmp", "::1"),
    ],
)
def test_beside_the_exporter(
    exporter: str, web: dict[str, str], authority: tuple[trustme.CA, str], module: str, target: str
) -> None:
    """Same families, types, help texts, labels and steady values for the same target."""

    def ssh(connection: socket.socket) -> None:
        connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")
        until_closed(connection)

    def silent(connection: socket.socket) -> None:
        connection.sendall(b"hello\n")

    with tcp_server(ssh) as ssh_port, tcp_server(silent) as silent_port, responder() as dns_server:
        closed = f"127.0.0.1:{free_port()}"
        known = {
            "tls": web["tls"],
            "closed": closed,
            "closed-url": f"http://{closed}/",
            "ssh": f"127.0.0.1:{ssh_port}",
            "silent": f"127.0.0.1:{silent_port}",
            "dns": dns_server,
        }
        base, slash, path = target.partition("/")
        where = known.get(target) or (web[base] + slash + path if base in web else target)
        query = {"target": where, "module": module}
        status, content_type, theirs = scrape(exporter, query)
        ours = ask(query, context=Context(ca_file=authority[1]))
    assert (ours.status, ours.content_type) == (status, content_type)
    assert shape(ours.body) == shape(theirs)
    assert steady(ours.body) == steady(theirs)


@pytest.mark.parametrize("query", [{}, {"module": "icmp"}, {"target": "x", "module": 'no"pe'}])
def test_errors_beside_the_exporter(exporter: str, query: dict[str, str]) -> None:
    ours = ask(query)
    assert (ours.status, ours.content_type, ours.body) == scrape(exporter, query)

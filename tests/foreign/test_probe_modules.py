"""Modules from a file: beside Debian's prometheus-blackbox-exporter with the same file, and their mistakes."""

from __future__ import annotations

import asyncio
import gzip
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import trustme
from grpc_health.v1 import health, health_pb2
from test_probe_endpoint import EXPORTER, scrape, shape, steady, values
from tests.rigs.check_servers import free_port, tcp_server, until_closed
from tests.rigs.dns_server import responder
from tests.rigs.exposition_reader import parse
from tests.rigs.grpc_server import grpc_server

from mainstay.foreign.compat.probe import Answered, probe_response
from mainstay.foreign.compat.probe_modules import MODULES, Module, Modules, read_modules
from mainstay.kernel.probing import CheckOrder, CheckResult
from mainstay.watch.prober.context import Context
from mainstay.watch.prober.dispatch import prepare

FILE = Path(__file__).with_name("blackbox_modules.yml")


class Pages(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body, status, headers = b"hello world\n", 200, [("X-Seen", "one"), ("X-Seen", "two")]
        if self.path == "/moved":
            status, headers = 302, [("Location", "/")]
        elif self.path == "/loop":
            status, headers = 302, [("Location", "/loop")]
        elif self.path == "/cookie" and self.headers.get("Cookie") != "seen=1":
            status, headers = 302, [("Location", "/cookie"), ("Set-Cookie", "seen=1; Path=/")]
        elif self.path == "/gone":
            status = 404
        elif self.path == "/packed":
            body, headers = gzip.compress(b"hello " * 200), [("Content-Encoding", "gzip")]
        elif self.path.startswith("/private"):
            wanted = {"/private/basic": "Basic YW5uOnNlc2FtZQ==", "/private/bearer": "Bearer sesame"}
            known = wanted.get(self.path, "Token sesame") == self.headers.get("Authorization")
            status = 200 if known else 401
        elif self.path == "/nothing":
            self.send_response(204)
            self.end_headers()
            return
        self.send_response(status)
        for name, value in [*headers, ("Content-Length", str(len(body)))]:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        sent = self.rfile.read(int(self.headers["Content-Length"]))
        self.path = "/" if (sent, self.headers["X-Key"]) == (b"a=1", "abc") else "/gone"
        self.do_GET()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Quiet."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("modules")
    authority, strangers = trustme.CA(), trustme.CA()
    authority.cert_pem.write_to_path(made / "own.pem")
    strangers.cert_pem.write_to_path(made / "clients.pem")
    own, client = authority.issue_cert("localhost", "127.0.0.1"), strangers.issue_cert("prober@example.test")
    for name, pair in (("server", own), ("client", client)):
        pair.cert_chain_pems[0].write_to_path(made / f"{name}.pem")
        pair.private_key_pem.write_to_path(made / f"{name}.key")
    (made / "word").write_text("sesame\n")
    (made / "modules.yml").write_text(FILE.read_text())
    return made


@pytest.fixture(scope="module")
def modules(folder: Path) -> dict[str, Module]:
    found = read_modules(folder / "modules.yml")
    assert [str(item) for item in found.diagnostics] == []
    assert found.modules is not None
    return found.modules


@pytest.fixture(scope="module")
def exporter(folder: Path) -> Iterator[str]:
    if EXPORTER is None:
        pytest.skip("NOT COMPARED: apt-get install prometheus-blackbox-exporter")
    port = free_port()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [EXPORTER, "--config.file=modules.yml", f"--web.listen-address=127.0.0.1:{port}"],
            cwd=folder,
            env={},
            stdout=log,
            stderr=log,
        )
        try:
            deadline = time.monotonic() + 30
            while time.monotonic() < deadline and process.poll() is None:
                with socket.socket() as trying:
                    if trying.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.05)
            assert process.poll() is None, (folder / "log").read_text()
            yield f"http://127.0.0.1:{port}/probe"
        finally:
            process.terminate()
            process.wait(10)


def _line(connection: socket.socket) -> bytes:
    line = b""
    while not line.endswith(b"\n") and (byte := connection.recv(1)):
        line += byte
    return line


@pytest.fixture(scope="module")
def targets(folder: Path) -> Iterator[dict[str, str]]:
    plain = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    plain.load_cert_chain(folder / "server.pem", folder / "server.key")
    strict = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    strict.load_cert_chain(folder / "server.pem", folder / "server.key")
    strict.load_verify_locations(folder / "clients.pem")
    strict.verify_mode = ssl.CERT_REQUIRED

    def banner(connection: socket.socket) -> None:
        connection.sendall(b"welcome\r\nSSH-2.0-OpenSSH_9.6\r\n")
        until_closed(connection)

    def irc(connection: socket.socket) -> None:
        assert _line(connection) == b"NICK prober\n"
        connection.sendall(b":me NOTICE x\r\nPING :12ab\r\n")
        if _line(connection) == b"PONG 12ab\n":
            connection.sendall(b":me 001 prober\r\n")
        until_closed(connection)

    def smtp(connection: socket.socket) -> None:
        connection.sendall(b"220 mail.example.test ESMTP ready\r\n")
        _line(connection)
        connection.sendall(b"250-mail.example.test\r\n250-STARTTLS\r\n250 OK\r\n")
        _line(connection)
        connection.sendall(b"220 go on\r\n")
        with plain.wrap_socket(connection, server_side=True) as secured:
            _line(secured)
            secured.sendall(b"250-mail.example.test\r\n250-AUTH PLAIN\r\n250 OK\r\n")
            until_closed(secured)

    def closing(connection: socket.socket) -> None:
        connection.sendall(b"+OK ready\r\n")

    servicer = health.HealthServicer()
    servicer.set("shop", health_pb2.HealthCheckResponse.SERVING)
    servicer.set("stock", health_pb2.HealthCheckResponse.NOT_SERVING)
    pair = type("Pair", (), {"key": folder / "server.key", "certificate": folder / "server.pem"})
    with ExitStack() as stack:
        servers = []
        for context in (None, plain, strict):
            server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
            server.daemon_threads = True
            if context is not None:
                server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
            thread = Thread(target=server.serve_forever, args=(0.05,))
            thread.start()
            stack.callback(server.server_close)
            stack.callback(thread.join)
            stack.callback(server.shutdown)
            servers.append(server.server_address[1])
        yield {
            "web": f"http://127.0.0.1:{servers[0]}",
            "named": f"http://localhost:{servers[0]}",
            "secure": f"https://127.0.0.1:{servers[1]}",
            "strict": f"https://127.0.0.1:{servers[2]}",
            "tls": f"127.0.0.1:{servers[1]}",
            "strict-tls": f"127.0.0.1:{servers[2]}",
            "closed": f"127.0.0.1:{free_port()}",
            "banner": f"127.0.0.1:{stack.enter_context(tcp_server(banner))}",
            "irc": f"127.0.0.1:{stack.enter_context(tcp_server(irc))}",
            "smtp": f"127.0.0.1:{stack.enter_context(tcp_server(smtp))}",
            "pop": f"127.0.0.1:{stack.enter_context(tcp_server(closing))}",
            "dns": stack.enter_context(responder()),
            "grpc": f"127.0.0.1:{stack.enter_context(grpc_server(servicer))}",
            "grpcs": f"127.0.0.1:{stack.enter_context(grpc_server(servicer, pair))}",  # type: ignore[arg-type]
            "self": "127.0.0.1",
        }


def ask(modules: dict[str, Module], query: dict[str, str]) -> Answered:
    async def answer() -> Answered:
        lent = Context()

        async def run_once(order: CheckOrder) -> CheckResult:
            return await prepare(order).run(lent)

        return await probe_response(query, {}, run_once, modules)

    return asyncio.run(answer())


COMPARED = [
    ("plain", "web", 1),
    ("plain", "web/gone", 0),
    ("plain", "web/nothing", 1),
    ("plain", "web/loop", 0),
    ("plain", "web/cookie", 1),
    ("post", "web", 1),
    ("found", "web/gone", 1),
    ("found", "web", 0),
    ("unfollowed", "web/moved", 0),
    ("moved", "web/moved", 1),
    ("plain", "web/moved", 1),
    ("versions", "web", 1),
    ("only_2", "web", 0),
    ("no_ssl", "web", 1),
    ("ssl", "web", 0),
    ("body", "web", 0),
    ("body_end", "web", 1),
    ("body_bad", "web", 0),
    ("header", "web", 1),
    ("header_bad", "web", 0),
    ("header_gone", "web", 0),
    ("header_may", "web", 1),
    ("both", "web", 0),
    ("both", "web/gone", 0),
    ("small", "web", 0),
    ("large", "web", 1),
    ("packed", "web/packed", 1),
    ("basic", "web/private/basic", 1),
    ("bearer", "web/private/bearer", 1),
    ("token", "web/private/token", 1),
    ("plain", "web/private/token", 0),
    ("ca", "secure", 1),
    ("plain", "secure", 0),
    ("other_name", "secure", 0),
    ("client", "strict", 1),
    ("ca", "strict", 0),
    ("tls13", "tls", 1),
    ("tls_own", "tls", 1),
    ("tls_client", "strict-tls", 1),
    ("tls_stranger", "tls", 0),
    ("tls_unverified", "tls", 1),
    ("ip4", "named", 1),
    ("ip4_only", "tls", 1),
    ("ip6_only", "web", 0),
    ("connect", "closed", 0),
    ("banner", "banner", 1),
    ("banner", "pop", 0),
    ("pop", "pop", 0),
    ("irc", "irc", 1),
    ("smtp", "smtp", 1),
    ("a", "dns", 1),
    ("any", "dns", 1),
    ("a_tcp", "dns", 1),
    ("gone", "dns", 0),
    ("gone_well", "dns", 1),
    ("no_match", "dns", 0),
    ("each", "dns", 1),
    ("each_bad", "dns", 0),
    ("all", "dns", 1),
    ("all_bad", "dns", 0),
    ("all_none", "dns", 1),
    ("some", "dns", 1),
    ("some_none", "dns", 0),
    ("text", "dns", 1),
    ("ping", "self", 1),
    ("ping_more", "self", 1),
    ("grpc", "grpc", 1),
    ("grpc_stock", "grpc", 0),
    ("grpc_none", "grpc", 0),
    ("grpc", "closed", 0),
    ("grpc_tls", "grpcs", 1),
    ("grpc_tls", "grpc", 0),
]
MORE = {"probe_dns_additional_rrs", "probe_grpc_ssl", "probe_grpc_status_code", "probe_grpc_healthcheck_response"}


def compared(text: str) -> dict[str, Any]:
    return steady(text) | {name: read.samples for name, read in parse(text).items() if name in MORE}


@pytest.mark.parametrize(("module", "target", "success"), COMPARED)
def test_beside_the_exporter(
    exporter: str, modules: dict[str, Module], targets: dict[str, str], module: str, target: str, success: int
) -> None:
    """Same families, types, help texts, labels and steady values by the same file for the same target."""
    base, slash, path = target.partition("/")
    query = {"module": module, "target": targets[base] + slash + path}
    ours = ask(modules, query)
    status, content_type, theirs = scrape(exporter, query)
    assert values(parse(theirs), "probe_success") == {"": success}
    assert compared(ours.body) == compared(theirs)
    assert shape(ours.body) == shape(theirs)
    assert (ours.status, ours.content_type) == (status, content_type)


def test_a_packed_body_that_nobody_asked_for_is_unpacked_unlike_the_exporters(
    exporter: str, modules: dict[str, Module], targets: dict[str, str]
) -> None:
    query = {"module": "not_packed", "target": targets["web"] + "/packed"}
    lengths = [
        values(parse(text), "probe_http_uncompressed_body_length")[""]
        for text in (ask(modules, query).body, scrape(exporter, query)[2])
    ]
    assert lengths == [1200.0, 36.0]


MISTAKES = r"""modules:
  no_prober: {http: {}}
  odd: {prober: smtp}
  typo: {prober: http, http: {metod: POST}}
  oauth: {prober: http, http: {oauth2: {client_id: x, client_secret: hidden-word, token_url: "http://x"}}}
  cel: {prober: http, http: {fail_if_body_json_matches_cel: "body.x == 1"}}
  from_here: {prober: tcp, tcp: {source_ip_address: 192.0.2.1}}
  old: {prober: tcp, tcp: {tls: true, tls_config: {min_version: TLS10}}}
  pattern: {prober: tcp, tcp: {query_response: [{expect: "(?=x)"}]}}
  labels: {prober: tcp, tcp: {query_response: [{expect: "x", labels: [{name: a, value: "${1}"}]}]}}
  nameless: {prober: dns, dns: {query_type: A}}
  type: {prober: dns, dns: {query_name: x, query_type: AAAAA}}
  rcode: {prober: dns, dns: {query_name: x, valid_rcodes: [NOPE]}}
  over_udp: {prober: dns, dns: {query_name: x, dns_over_tls: true}}
  tiny: {prober: icmp, icmp: {payload_size: 4}}
  hops: {prober: icmp, icmp: {ttl: 300}}
  lost: {prober: http, http: {bearer_token_file: nowhere}}
  twice: {prober: http, http: {bearer_token: hidden-word, basic_auth: {username: x}}}
  slow: {prober: http, timeout: soon}
  number: {prober: http, http: {method: [POST]}}
  text: just
  other: {prober: http, tcp: {tls: true}}
  good: {prober: http, timeout: 1500ms}
"""
SAID = {
    "no_prober": "2:14: error: `prober` is missing",
    "odd": "3:9: error: `prober` is one of http, tcp, dns, icmp, grpc, not `smtp`",
    "typo": "4:31: error: there is no field `metod` here, did you mean `method`",
    "oauth": "5:32: error: `oauth2` is not supported: tokens are not fetched for a probe; use `authorization`",
    "cel": "6:30: error: `fail_if_body_json_matches_cel` is not supported: CEL expressions are not evaluated",
    "from_here": "7:34: error: `source_ip_address` is not supported: the system chooses the source address of probes",
    "old": "8:52: error: `min_version` is not supported with TLS10: TLS before 1.2 is not supported",
    "pattern": "9:58: error: `(?=x)` is not a regular expression: invalid perl operator: (?=; look-around and "
    "backreferences are not supported, as matching them can take forever",
    "labels": "10:62: error: `labels` is not supported: text from the target does not become labels",
    "nameless": "11:32: error: `query_name` is missing",
    "type": "12:44: error: `AAAAA` is not known to DNS",
    "rcode": "13:45: error: `NOPE` is not known to DNS",
    "over_udp": "14:48: error: `dns_over_tls` needs `transport_protocol: tcp`",
    "tiny": "15:30: error: `payload_size` is not supported below 8: a packet carries 8 bytes that tell it apart",
    "hops": "16:31: error: `ttl` must be between 1 and 255",
    "lost": "17:31: error: nowhere cannot be read: No such file or directory",
    "twice": "18:32: error: give one of basic_auth and bearer_token, not several",
    "slow": "19:24: error: `soon` is not a duration such as 5s or 500ms",
    "number": "20:41: error: `method` must be text, not a list",
    "text": "21:9: error: the module `text` must be a mapping, not text",
}


def test_a_mistake_costs_its_module_and_says_where(tmp_path: Path) -> None:
    path = tmp_path / "m.yml"
    path.write_text(MISTAKES)
    found = read_modules(path)
    assert found.modules is not None
    problems = {name: module.problem.removeprefix(f"{path}:") for name, module in found.modules.items()}
    assert {name: problem for name, problem in problems.items() if problem} == SAID
    warnings = [str(item) for item in found.diagnostics if item.severity == "warning"]
    assert warnings == [f"{path}:22:25: warning: `tcp` has no effect: the prober is http"]
    assert (found.modules["good"].timeout, found.modules["good"].kind) == (1.5, "http")
    answered = ask(found.modules, {"module": "oauth", "target": "x"})
    assert answered == Answered(400, f'Unknown module "oauth": {path}:{SAID["oauth"]}\n')
    assert tmp_path / "nowhere" in found.files


def test_the_exporters_own_example_is_understood() -> None:
    path = Path("/usr/share/doc/prometheus-blackbox-exporter/examples/example.yml")
    if not path.exists():
        pytest.skip("NOT COMPARED: apt-get install prometheus-blackbox-exporter")
    found = read_modules(path)
    assert found.modules is not None
    problems = {name: module.problem for name, module in found.modules.items() if module.problem}
    assert set(problems) == {"http_custom_ca_example", "icmp_example"}
    assert "my_cert.crt cannot be read" in problems["http_custom_ca_example"]
    assert "`source_ip_address` is not supported" in problems["icmp_example"]


def test_secrets_are_not_shown(modules: dict[str, Module], targets: dict[str, str]) -> None:
    for name in ("basic", "bearer", "token", "client"):
        body = ask(modules, {"module": name, "target": targets["web"], "debug": "true"}).body
        assert "Module configuration:" in body
        assert "sesame" not in body
        assert "PRIVATE KEY" not in body


def test_the_timeout_of_the_module_bounds_the_probe(tmp_path: Path) -> None:
    (tmp_path / "m.yml").write_text("modules: {quick: {prober: http, timeout: 300ms}}")
    found = read_modules(tmp_path / "m.yml").modules or {}
    with tcp_server(until_closed) as port:
        body = ask(found, {"module": "quick", "target": f"http://127.0.0.1:{port}", "debug": "true"}).body
    assert "timeout_seconds=0.3" in body
    assert "probe_success 0" in body


def test_two_host_headers_contradict(tmp_path: Path, exporter: str, targets: dict[str, str]) -> None:
    (tmp_path / "m.yml").write_text("modules: {named: {prober: http, http: {headers: {host: a.test}}}}")
    found = read_modules(tmp_path / "m.yml").modules or {}
    query = {"module": "named", "target": targets["web"]}
    assert ask(found, query | {"hostname": "b.test"}).status == 400
    assert ask(found, query | {"hostname": "a.test"}).status == 200


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"modules:\n  a: [", "m.yml:3:1: error: this is not YAML"),
        (b"modules:\n\ta: 1\n", "m.yml:2:1: error: this is not YAML"),
        (b"", "m.yml: error: the file is empty"),
        (b"- 1\n", "the file must be one mapping with `modules:`"),
        (b"modules: 3\n", "`modules` must be a mapping, not a number"),
        (b"\xff\xfe", "m.yml:1:1: error: the input is not UTF-8 text"),
        (None, "cannot be read: No such file or directory"),
    ],
)
def test_what_is_no_file_of_modules_leaves_what_was(tmp_path: Path, text: bytes | None, said: str) -> None:
    path = tmp_path / "m.yml"
    path.write_text("modules: {mine: {prober: icmp}, icmp: {prober: icmp, icmp: {payload_size: 99}}}")
    known = Modules(path)
    asyncio.run(known.turn())
    assert (set(known.known), known.problem) == ({*MODULES, "mine"}, "")
    assert known.known["icmp"].target["size"] == 99  # the file's own name wins
    path.unlink() if text is None else path.write_bytes(text)
    for _ in range(3):
        asyncio.run(known.turn())
    assert said in known.problem
    assert asyncio.run(known.health()) == known.problem
    assert "mine" in known.known
    path.write_text("modules: {next: {prober: icmp}}")
    for _ in range(3):
        asyncio.run(known.turn())
    assert (set(known.known), known.problem) == ({*MODULES, "next"}, "")


def test_a_file_that_a_module_names_is_watched_too(tmp_path: Path) -> None:
    (tmp_path / "m.yml").write_text("modules: {mine: {prober: http, http: {bearer_token_file: word}}}")
    known = Modules(tmp_path / "m.yml")
    asyncio.run(known.turn())
    assert "word cannot be read" in known.problem
    (tmp_path / "word").write_text("sesame")
    for _ in range(3):
        asyncio.run(known.turn())
    assert known.problem == ""
    assert known.known["mine"].target["headers"] == {"Authorization": "Bearer sesame"}

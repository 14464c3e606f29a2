"""A ClickHouse server for tests: the HTTP interface as its official client uses it, over chdb's embedded engine.

Started as a process of its own on a folder, so that it can be killed and started again with what it had. Speaks
queries and inserts in Native (compressed too), raw formats, parameters in the address and as form data, settings,
passwords and TLS, and answers errors with their code as the real server does.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

USER, PASSWORD = "mainstay", "pa:ss/w@rd"
_OF_TRANSPORT = {"database", "query", "query_id", "session_id", "compress", "decompress", "wait_end_of_query",
                 "send_progress_in_http_headers", "http_headers_progress_interval_ms", "enable_http_compression",
                 "client_protocol_version", "buffer_size", "role", "default_format"}  # fmt: skip
_CODE = re.compile(r"Code: (\d+)")
_INSERT = re.compile(r"^\s*INSERT INTO .*? FORMAT Native\s*$", re.IGNORECASE | re.DOTALL)


@dataclass
class ChdbServer:
    """`start` and `kill` as often as a test likes; the folder stays."""

    folder: Path
    port: int = 0
    certificate: str = ""
    _process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        command = [sys.executable, __file__, str(self.folder), str(self.port), self.certificate]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def kill(self, number: int = signal.SIGKILL) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None

    def address(self, database: str, password: str = "pa%3Ass%2Fw%40rd", scheme: str = "clickhouse") -> str:
        return f"{scheme}://{USER}:{password}@127.0.0.1:{self.port}/{database}"


@contextlib.contextmanager
def chdb_server(certificate: str = "") -> Iterator[ChdbServer]:
    folder = Path(tempfile.mkdtemp(prefix="mainstay-chdb-"))
    server = ChdbServer(folder, certificate=certificate)
    server.start()
    try:
        yield server
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    engine: Any  # a chdb connection that keeps the engine open
    path_of_data: str
    turn = threading.Lock()

    def do_GET(self) -> None:
        if urlsplit(self.path).path == "/ping":
            self._answer(200, b"Ok.\n", {})
        else:
            self.do_POST()

    def do_POST(self) -> None:
        fields = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        body = self._body()
        if not self._known():
            told = b"Code: 516. DB::Exception: mainstay: password is incorrect. (AUTHENTICATION_FAILED)"
            self._answer(403, told, {"X-ClickHouse-Exception-Code": "516"})
            return
        kind = self.headers.get("Content-Type", "")
        if kind.startswith("multipart/form-data"):
            fields.update(_form(kind, body))
            body = b""
        try:
            with _Handler.turn:
                answer = self._run(fields, body)
        except Exception as error:  # noqa: BLE001  whatever the engine says goes to the client
            found = _CODE.search(str(error))
            self._answer(500, str(error).encode(), {"X-ClickHouse-Exception-Code": found[1] if found else "1"})
            return
        summary = json.dumps({"read_rows": "0", "written_rows": "0"})
        self._answer(200, answer, {"X-ClickHouse-Summary": summary, "X-ClickHouse-Timezone": "UTC"})

    def _known(self) -> bool:
        given = self.headers.get("Authorization", "").removeprefix("Basic ")
        return base64.b64decode(given).decode() == f"{USER}:{PASSWORD}"

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "") == "chunked":
            raw = b"".join(iter(self._chunk, b""))
        else:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        encoding = self.headers.get("Content-Encoding", "")
        if encoding == "lz4":
            import lz4.frame

            return bytes(lz4.frame.decompress(raw))
        return raw

    def _chunk(self) -> bytes:
        size = int(self.rfile.readline().split(b";")[0], 16)
        data = self.rfile.read(size)
        self.rfile.readline()
        return data

    def _run(self, fields: dict[str, str], body: bytes) -> bytes:
        import chdb

        query = fields.get("query", "")
        data = b""
        if _INSERT.match(query):
            data = body
        elif not query and _INSERT.match(body.split(b"\n", 1)[0].decode(errors="replace")):
            first, _, data = body.partition(b"\n")
            query = first.decode()
        else:
            query = f"{query}\n{body.decode()}" if query and body else query or body.decode()
        connection = chdb.connect(self.path_of_data)
        try:
            if database := fields.get("database"):
                connection.query(f"USE `{database}`")
            for name, value in fields.items():
                if name not in _OF_TRANSPORT and not name.startswith("param_"):
                    connection.query(f"SET {name} = '{value}'")
            params = {name[6:]: value for name, value in fields.items() if name.startswith("param_")}
            if data:
                return self._insert(connection, query, data)
            found = connection.query(query, "TabSeparated", params=params)
            return bytes(found.bytes() or b"")
        finally:
            connection.close()

    def _insert(self, connection: Any, query: str, data: bytes) -> bytes:
        with tempfile.NamedTemporaryFile(suffix=".native") as file:
            file.write(data)
            file.flush()
            head = re.sub(r"\s*FORMAT Native\s*$", "", query, flags=re.IGNORECASE)
            connection.query(f"{head} FROM INFILE '{file.name}' COMPRESSION 'none' FORMAT Native")
        return b""

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *values: object) -> None:  # noqa: A002  the name is http.server's
        pass


def _form(kind: str, body: bytes) -> dict[str, str]:
    message = BytesParser().parsebytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + body)
    found = {}
    for part in message.get_payload():
        value = part.get_payload(decode=True)  # type: ignore[union-attr]  # parts of a form
        found[str(part.get_param("name", header="Content-Disposition"))] = value.decode()  # type: ignore[union-attr]
    return found


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_of: object) -> None:
        """A client that went away is no news."""


def main() -> None:
    import chdb

    folder, port, certificate = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    _Handler.path_of_data = str(folder / "data")
    _Handler.engine = chdb.connect(_Handler.path_of_data)
    server = _Server(("127.0.0.1", port), _Handler)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()

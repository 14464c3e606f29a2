"""A responder that speaks as much of MongoDB's wire protocol as the published driver needs to connect and sign in.

MongoDB itself is in no package source that the tests may use. Its messages are read and written by the driver's
own BSON, and a test connects the driver to it, so that it is not only our own reading of the protocol.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import socket
import ssl
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import bson
from tests.rigs.check_servers import tcp_server

Document = dict[str, Any]
_OP_MSG, _OP_QUERY, _OP_REPLY = 2013, 2004, 1
_SALT, _ROUNDS = b"sixteen bytes ok", 4096


class Responder:
    """`users`: name -> password. `answers`: name of a command -> its answer."""

    def __init__(self, users: dict[str, str], answers: dict[str, Callable[[Document], Document]]) -> None:
        self.users = users
        self.answers = answers
        self.hello: Document = {}
        self.mechanisms = ["SCRAM-SHA-1", "SCRAM-SHA-256"]
        self.seen: list[Document] = []
        self.context: ssl.SSLContext | None = None

    @contextmanager
    def serving(self) -> Iterator[int]:
        with tcp_server(self._serve) as port:
            yield port

    def _serve(self, connection: socket.socket) -> None:
        if self.context is not None:
            with self.context.wrap_socket(connection, server_side=True) as secured:
                _Visit(self, secured).serve()
        else:
            _Visit(self, connection).serve()


class _Visit:
    def __init__(self, responder: Responder, connection: socket.socket) -> None:
        self._responder = responder
        self._connection = connection
        self._user = ""
        self._known = not responder.users
        self._first = self._hash = ""

    def serve(self) -> None:
        while head := self._exactly(16):
            size, number, _, kind = struct.unpack("<iiii", head)
            body = self._exactly(size - 16)
            if kind == _OP_QUERY:  # the driver's first question, in the old form
                start = body.index(b"\0", 4) + 1 + 8
                document = bson.decode(body[start : start + int.from_bytes(body[start : start + 4], "little")])
                answer = bson.encode(self._answer(document))
                self._send(_OP_REPLY, number, struct.pack("<iqii", 8, 0, 0, 1) + answer)
                continue
            document = bson.decode(body[5:])
            if not int.from_bytes(body[:4], "little") & 2 or "endSessions" in document:
                self._send(_OP_MSG, number, bytes(5) + bson.encode(self._answer(document)))

    def _answer(self, document: Document) -> Document:
        name = next(iter(document))
        responder = self._responder
        responder.seen.append(document)
        if name in ("hello", "isMaster", "ismaster"):
            found = {"isWritablePrimary": True, "ismaster": True, "helloOk": True, "maxWireVersion": 21}
            found |= {"minWireVersion": 0, "maxBsonObjectSize": 16777216, "maxMessageSizeBytes": 48000000, "ok": 1.0}
            if "saslSupportedMechs" in document:
                found["saslSupportedMechs"] = responder.mechanisms
            return found | responder.hello
        if name == "saslStart":
            return self._start(document)
        if name == "saslContinue":
            return self._continue(document)
        if name == "endSessions":
            return {"ok": 1.0}
        if not self._known:
            return {"ok": 0.0, "errmsg": f"Command {name} requires authentication", "code": 13}
        answer = responder.answers.get(name)
        return answer(document) if answer else {"ok": 0.0, "errmsg": f"no such command: '{name}'", "code": 59}

    def _start(self, document: Document) -> Document:
        self._hash = {"SCRAM-SHA-1": "sha1", "SCRAM-SHA-256": "sha256"}[document["mechanism"]]
        bare = bytes(document["payload"]).decode().removeprefix("n,,")
        fields = dict(part.split("=", 1) for part in bare.split(","))
        self._user = fields["n"]
        nonce = fields["r"] + base64.b64encode(os.urandom(9)).decode()
        challenge = f"r={nonce},s={base64.b64encode(_SALT).decode()},i={_ROUNDS}"
        self._first = f"{bare},{challenge}"
        return {"conversationId": 1, "done": False, "payload": challenge.encode(), "ok": 1.0}

    def _continue(self, document: Document) -> Document:
        payload = bytes(document["payload"]).decode()
        if not payload:
            return {"conversationId": 1, "done": True, "payload": b"", "ok": 1.0}
        without, _, proof = payload.rpartition(",p=")
        password = self._responder.users.get(self._user, "nobody's")
        if self._hash == "sha1":
            password = hashlib.md5(f"{self._user}:mongo:{password}".encode()).hexdigest()
        salted = hashlib.pbkdf2_hmac(self._hash, password.encode(), _SALT, _ROUNDS)
        message = f"{self._first},{without}".encode()
        key = hmac.digest(salted, b"Client Key", self._hash)
        signature = hmac.digest(hashlib.new(self._hash, key).digest(), message, self._hash)
        if bytes(a ^ b for a, b in zip(key, signature, strict=True)) != base64.b64decode(proof):
            return {"ok": 0.0, "errmsg": "Authentication failed.", "code": 18}
        self._known = True
        final = hmac.digest(hmac.digest(salted, b"Server Key", self._hash), message, self._hash)
        return {"conversationId": 1, "done": False, "payload": b"v=" + base64.b64encode(final), "ok": 1.0}

    def _send(self, kind: int, answered: int, body: bytes) -> None:
        self._connection.sendall(struct.pack("<iiii", len(body) + 16, 7, answered, kind) + body)

    def _exactly(self, size: int) -> bytes:
        found = b""
        while len(found) < size:
            piece = self._connection.recv(size - len(found))
            if not piece:
                return b""
            found += piece
        return found

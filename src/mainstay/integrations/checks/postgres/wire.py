"""The part of PostgreSQL's protocol 3.0 that a login and a simple query need.

https://www.postgresql.org/docs/current/protocol.html. Written here rather than left to libpq, so that phases are
timed, certificates are seen, the address guard holds, and an answer is read up to a limit only.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mainstay.integrations.checks.progress import excerpt
from mainstay.integrations.checks.scram import Scram, ScramError
from mainstay.kernel.probing import CheckFault

if TYPE_CHECKING:
    from mainstay.integrations.checks.sessions import Talk

MESSAGE_LIMIT = 1024 * 1024  # bytes of one message
VALUE_LIMIT = 4096  # bytes of the value that are kept
_PROTOCOL = 196_608  # 3.0
_SSL_REQUEST = (8).to_bytes(4) + (80_877_103).to_bytes(4)
_OK, _CLEARTEXT, _MD5, _SASL, _SASL_CONTINUE, _SASL_FINAL = 0, 3, 5, 10, 11, 12
_KNOWN = b"RSKZENTDCIvAGHWdcfst12n"


@dataclass(slots=True)
class Answer:
    rows: int = 0
    value: bytes | None = None  # first column of the first row; None is NULL


class Session:
    """`confidential`: a password may be sent as it is (over TLS, or on this machine)."""

    def __init__(self, talk: Talk, *, confidential: bool) -> None:
        self.parameters: dict[str, str] = {}  # server_version, in_hot_standby, ...
        self._talk = talk
        self._confidential = confidential

    async def offers_tls(self) -> bool:
        await self._talk.send(_SSL_REQUEST)
        answer = await self._talk.exactly(1)
        if answer not in (b"S", b"N"):
            raise CheckFault("wait.malformed", f"this is not a PostgreSQL server: it answers `{excerpt(answer)}`")
        return answer == b"S"

    async def login(self, username: str, password: str, database: str) -> None:
        """CheckFault `expect.login`, `expect.database` or `wait.refused`."""
        options = {
            "user": username,
            "database": database or username,
            "application_name": "mainstay",
            "client_encoding": "UTF8",
        }
        pairs = b"".join(f"{key}\0{value}\0".encode() for key, value in options.items()) + b"\0"
        await self._talk.send((len(pairs) + 8).to_bytes(4) + _PROTOCOL.to_bytes(4) + pairs)
        scram: Scram | None = None
        while True:
            kind, body = await self._message()
            if kind == b"Z":
                return
            if kind == b"E":
                raise _not_admitted(body)
            if kind == b"R":
                scram = await self._authenticate(body, scram, username, password)
            elif kind == b"S":
                self._note(body)
            elif kind not in (b"K", b"N", b"v"):
                raise _out_of_order(kind)

    async def _authenticate(self, body: bytes, scram: Scram | None, username: str, password: str) -> Scram | None:
        way = int.from_bytes(body[:4])
        if way == _OK:
            return scram
        if not password:
            raise CheckFault("expect.login", f"the server asks {username[:80]} for a password, and none is declared")
        if way == _CLEARTEXT:
            if not self._confidential:
                reason = "the server asks for the plain-text password over a connection without TLS; set `tls: true`"
                raise CheckFault("expect.login", reason)
            await self._send(b"p", password.encode() + b"\0")
        elif way == _MD5:
            await self._send(b"p", _md5(username, password, body[4:8]) + b"\0")
        elif way == _SASL and b"SCRAM-SHA-256" in body[4:].split(b"\0"):
            scram = Scram("", password)  # the server takes the name of the start-up message
            first = scram.first()
            await self._send(b"p", b"SCRAM-SHA-256\0" + len(first).to_bytes(4) + first)
        elif way in (_SASL_CONTINUE, _SASL_FINAL) and scram is not None:
            await self._prove(way, body[4:], scram)
        else:
            raise CheckFault(
                "expect.login", f"the server requires a login that is not supported (authentication {way})"
            )
        return scram

    async def _prove(self, way: int, said: bytes, scram: Scram) -> None:
        try:
            if way == _SASL_CONTINUE:
                await self._send(b"p", await scram.final(said))
            else:
                scram.confirm(said)
        except ScramError as error:
            raise CheckFault("expect.login", f"the login failed: {error}") from None

    async def query(self, statement: str) -> Answer:
        """Run one statement, or several, and count the rows of the last. CheckFault `expect.query`."""
        await self._send(b"Q", statement.encode() + b"\0")
        answer, failure = Answer(), None
        while True:
            kind, body = await self._message()
            if kind == b"Z":
                if failure is not None:
                    raise failure
                return answer
            if kind == b"E":
                failure = _failed(body)
            elif kind == b"T":
                answer = Answer()
            elif kind == b"D":
                answer.rows += 1
                if answer.rows == 1:
                    answer.value = _first_value(body)
            elif kind == b"S":
                self._note(body)
            elif kind in (b"G", b"H", b"W"):
                raise CheckFault("expect.query", "COPY is not a query with a value")

    async def leave(self) -> None:
        await self._send(b"X", b"")

    def _note(self, body: bytes) -> None:
        name, _, rest = body.partition(b"\0")
        self.parameters[name.decode("utf-8", "replace")] = rest.rstrip(b"\0").decode("utf-8", "replace")

    async def _send(self, kind: bytes, body: bytes) -> None:
        await self._talk.send(kind + (len(body) + 4).to_bytes(4) + body)

    async def _message(self) -> tuple[bytes, bytes]:
        head = await self._talk.exactly(5)
        kind, size = head[:1], int.from_bytes(head[1:])
        if kind not in _KNOWN or size < 4:
            raise CheckFault("wait.malformed", f"this is not a PostgreSQL server: it answers `{excerpt(head)}`")
        if size > MESSAGE_LIMIT:
            raise CheckFault("transfer.too_large", f"the server sends {size} bytes at once, more than {MESSAGE_LIMIT}")
        return kind, await self._talk.exactly(size - 4)


def _md5(username: str, password: str, salt: bytes) -> bytes:
    inner = hashlib.md5((password + username).encode(), usedforsecurity=False).hexdigest()
    return b"md5" + hashlib.md5(inner.encode() + salt, usedforsecurity=False).hexdigest().encode()


def _first_value(body: bytes) -> bytes | None:
    """DataRow: number of columns, then length (-1 for NULL) and bytes of each."""
    if int.from_bytes(body[:2]) == 0:
        return None
    size = int.from_bytes(body[2:6], signed=True)
    return None if size < 0 else body[6 : 6 + min(size, VALUE_LIMIT)]


def _fields(body: bytes) -> tuple[str, str]:
    """(SQLSTATE, message) of an error."""
    parts = {part[:1]: part[1:].decode("utf-8", "replace") for part in body.split(b"\0") if part}
    return parts.get(b"C", ""), excerpt(parts.get(b"M", "unknown reason"))[:300]


def _not_admitted(body: bytes) -> CheckFault:
    state, message = _fields(body)
    if state.startswith("28"):
        return CheckFault("expect.login", f"the server refuses the login: {message} ({state})")
    if state == "3D000":
        return CheckFault("expect.database", f"the server refuses the database: {message} ({state})")
    return CheckFault("wait.refused", f"the server refuses the connection: {message} ({state})")


def _failed(body: bytes) -> CheckFault:
    state, message = _fields(body)
    if state == "57014":
        return CheckFault("transfer.timeout", f"the query was cancelled: {message} ({state})")
    return CheckFault("expect.query", f"the query failed: {message} ({state})")


def _out_of_order(kind: bytes) -> CheckFault:
    return CheckFault("wait.malformed", f"the server sends the message `{excerpt(kind)}` in the middle of a login")

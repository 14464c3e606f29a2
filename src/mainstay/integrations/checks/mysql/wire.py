"""The part of MySQL's protocol that a login and a query need. A readable password goes over TLS only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mainstay.integrations.checks.mysql import packets
from mainstay.kernel.probing import CheckFault

if TYPE_CHECKING:
    from mainstay.integrations.checks.sessions import Talk

PACKET_LIMIT = 1024 * 1024  # bytes
VALUE_LIMIT = 4096  # bytes of the value that are kept
_QUERY, _QUIT = b"\x03", b"\x01"
_MORE_RESULTS = 0x8
_STEPS_LIMIT = 10  # of one login


@dataclass(slots=True)
class Answer:
    rows: int = 0
    value: bytes | None = None  # first column of the first row; None is NULL


class Session:
    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self._sequence = 0
        self._secured = False
        self._greeting = packets.Greeting("", 0, b"", "")

    async def greet(self) -> packets.Greeting:
        self._greeting = packets.read_greeting(await self._read(greeting=True))
        return self._greeting

    async def begin_tls(self) -> None:
        """CheckFault `expect.tls` where the server has none."""
        if not self._greeting.capabilities & packets.SSL:
            raise CheckFault("expect.tls", "the server does not offer TLS")
        await self._write(packets.opening(packets.CAPABILITIES | packets.SSL))
        self._secured = True

    async def login(self, username: str, password: str, database: str) -> None:
        """CheckFault `expect.login`, `expect.database` or `wait.refused`."""
        capabilities = packets.CAPABILITIES | (packets.SSL if self._secured else 0)
        if database:
            capabilities |= packets.CONNECT_WITH_DB
        plugin, salt = self._greeting.plugin, self._greeting.salt
        proof = packets.proof_of(plugin, password, salt)
        if proof is None:  # the server then tells which way this user signs in
            plugin, proof = "mysql_native_password", b""
        await self._write(packets.response(capabilities, username, proof, database, plugin))
        for _ in range(_STEPS_LIMIT):
            body = await self._read()
            if body[:1] == b"\x00":
                return
            if body[:1] == b"\xff":
                raise packets.refused(body)
            if body[:1] == b"\xfe":
                name, _, salt = body[1:].partition(b"\0")
                plugin = name.decode("ascii", "replace")
                await self._write(self._switched(plugin, password, salt[:20]))
            elif body == b"\x01\x04":
                await self._write(self._readable(password))
            elif body != b"\x01\x03":  # which says that the proof was enough
                raise CheckFault("wait.malformed", "the server sends a message that is not part of a login")
        raise CheckFault("wait.malformed", "the server does not complete the login")

    def _switched(self, plugin: str, password: str, salt: bytes) -> bytes:
        if plugin == "mysql_clear_password":
            return self._readable(password)
        proof = packets.proof_of(plugin, password, salt)
        if proof is None:
            known = "mysql_native_password and caching_sha2_password"
            reason = f"the user signs in by {plugin[:60] or 'an old method'}, which is not supported; {known} are"
            raise CheckFault("expect.login", reason)
        return proof

    def _readable(self, password: str) -> bytes:
        if not self._secured:
            reason = "the server asks for the plain-text password over a connection without TLS; set `tls: true`"
            raise CheckFault("expect.login", reason)
        return password.encode() + b"\0"

    async def query(self, statement: str) -> Answer:
        """Run one statement, or several, and count the rows of the last. CheckFault `expect.query`."""
        self._sequence = 0
        await self._write(_QUERY + statement.encode())
        while True:
            answer, more = await self._result()
            if not more:
                return answer

    async def _result(self) -> tuple[Answer, bool]:
        """One result and whether another one follows."""
        body = await self._read()
        if body[:1] == b"\xff":
            raise packets.failed(body)
        if body[:1] == b"\xfb":
            raise CheckFault("expect.query", "LOAD DATA LOCAL is not a query with a value")
        if body[:1] == b"\x00":
            _, at = packets.read_length(body, 1)
            _, at = packets.read_length(body, at)
            return Answer(), bool(int.from_bytes(body[at : at + 2], "little") & _MORE_RESULTS)
        columns, _ = packets.read_length(body, 0)
        for _ in range((columns or 0) + 1):  # their descriptions, and an end
            if (described := await self._read())[:1] == b"\xff":
                raise packets.failed(described)
        answer = Answer()
        while True:
            body = await self._read()
            if body[:1] == b"\xff":
                raise packets.failed(body)
            if body[:1] == b"\xfe" and len(body) < 9:
                return answer, bool(int.from_bytes(body[3:5], "little") & _MORE_RESULTS)
            answer.rows += 1
            if answer.rows == 1:
                size, at = packets.read_length(body, 0)
                answer.value = None if size is None else body[at : at + min(size, VALUE_LIMIT)]

    async def leave(self) -> None:
        self._sequence = 0
        await self._write(_QUIT)

    async def _write(self, body: bytes) -> None:
        await self._talk.send(len(body).to_bytes(3, "little") + bytes((self._sequence,)) + body)
        self._sequence = (self._sequence + 1) % 256

    async def _read(self, *, greeting: bool = False) -> bytes:
        head = await self._talk.exactly(4)
        size = int.from_bytes(head[:3], "little")
        if head[3] != self._sequence and not (greeting and head[3] == 0):
            raise CheckFault("wait.malformed", "this is not a MySQL server: its packets are out of sequence")
        if size > PACKET_LIMIT:
            raise CheckFault("transfer.too_large", f"the server sends {size} bytes at once, more than {PACKET_LIMIT}")
        self._sequence = (head[3] + 1) % 256
        return await self._talk.exactly(size)

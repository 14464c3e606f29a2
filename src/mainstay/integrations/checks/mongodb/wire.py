"""Commands over MongoDB's wire protocol: OP_MSG, and the login by SCRAM.

https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/ and the specification of authentication,
https://github.com/mongodb/specifications/blob/master/source/auth/auth.md.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from mainstay.integrations.checks.mongodb.bson import BsonError, decode, encode
from mainstay.integrations.checks.progress import excerpt
from mainstay.integrations.checks.scram import Scram, ScramError
from mainstay.kernel.probing import CheckFault

if TYPE_CHECKING:
    from mainstay.integrations.checks.sessions import Talk

MESSAGE_LIMIT = 1024 * 1024  # bytes
_OP_MSG = 2013
_HEADER = 16
_CHECKSUM = 1  # flag: four bytes follow the sections
_ROUNDS = 3  # of a login
_NOT_AUTHORIZED, _LOGIN_FAILED = 13, 18
_TOO_LONG = 50


class Session:
    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self._number = 0

    async def command(self, command: dict[str, Any], database: str) -> dict[str, Any]:
        """The answer. CheckFault `expect.command` or `expect.login` where the server says no."""
        answer = await self._exchange({**command, "$db": database})
        if answer.get("ok") not in (1, True):
            raise _refused(next(iter(command)), answer)
        return answer

    async def login(self, username: str, password: str, database: str, mechanisms: list[Any]) -> None:
        """CheckFault `expect.login`. `mechanisms` are those that the server has for this user."""
        old = "SCRAM-SHA-256" not in mechanisms and "SCRAM-SHA-1" in mechanisms
        if old:
            digest = hashlib.md5(f"{username}:mongo:{password}".encode(), usedforsecurity=False)
            scram = Scram(username, digest.hexdigest(), "sha1")
        else:
            scram = Scram(username, password)
        try:
            await self._prove(scram, "SCRAM-SHA-1" if old else "SCRAM-SHA-256", database)
        except ScramError as error:
            raise CheckFault("expect.login", f"the login failed: {error}") from None

    async def _prove(self, scram: Scram, mechanism: str, database: str) -> None:
        start = {
            "saslStart": 1,
            "mechanism": mechanism,
            "payload": scram.first(),
            "options": {"skipEmptyExchange": True},
        }
        answer = await self.command(start, database)
        answer = await self._continue(answer, await scram.final(_payload(answer)), database)
        scram.confirm(_payload(answer))
        for _ in range(_ROUNDS):
            if answer.get("done"):
                return
            answer = await self._continue(answer, b"", database)
        raise CheckFault("wait.malformed", "the server does not complete the login")

    async def _continue(self, answer: dict[str, Any], payload: bytes, database: str) -> dict[str, Any]:
        following = {"saslContinue": 1, "conversationId": answer.get("conversationId"), "payload": payload}
        return await self.command(following, database)

    async def _exchange(self, document: dict[str, Any]) -> dict[str, Any]:
        self._number += 1
        body = bytes(4) + b"\0" + encode(document)  # no flags, one section of kind 0
        head = (len(body) + _HEADER, self._number, 0, _OP_MSG)
        await self._talk.send(b"".join(number.to_bytes(4, "little") for number in head) + body)
        answered, body = await self._message()
        if answered != self._number:
            raise CheckFault("wait.malformed", "the server's answer belongs to another request")
        flags = int.from_bytes(body[:4], "little")
        end = len(body) - (4 if flags & _CHECKSUM else 0)
        try:
            return decode(body[5:end])
        except BsonError as error:
            raise CheckFault("wait.malformed", f"the server's answer cannot be read: {error}") from None

    async def _message(self) -> tuple[int, bytes]:
        """(number of the question, flags and sections)."""
        head = await self._talk.exactly(_HEADER)
        size, _own, answered, kind = (int.from_bytes(head[at : at + 4], "little") for at in (0, 4, 8, 12))
        if kind != _OP_MSG or size < _HEADER + 5:
            raise CheckFault("wait.malformed", f"this is not a MongoDB server: it says `{excerpt(head)}`")
        if size > MESSAGE_LIMIT:
            raise CheckFault("transfer.too_large", f"the server sends {size} bytes at once, more than {MESSAGE_LIMIT}")
        return answered, await self._talk.exactly(size - _HEADER)


def _payload(answer: dict[str, Any]) -> bytes:
    found = answer.get("payload")
    return found if isinstance(found, bytes) else str(found).encode()


def _refused(name: str, answer: dict[str, Any]) -> CheckFault:
    code = answer.get("code")
    message = f"{excerpt(str(answer.get('errmsg', 'no reason given')))[:300]} ({code})"
    if code == _LOGIN_FAILED or name.startswith("sasl"):
        return CheckFault("expect.login", f"the server refuses the login: {message}")
    if code == _NOT_AUTHORIZED:
        return CheckFault("expect.login", f"the server does not permit {name}: {message}")
    if code == _TOO_LONG:
        return CheckFault("transfer.timeout", f"{name} was cancelled: {message}")
    return CheckFault("expect.command", f"the server refuses {name}: {message}")

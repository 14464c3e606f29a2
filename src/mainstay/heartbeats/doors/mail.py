"""Pings by mail: an SMTP server that takes in mail for heartbeats and nothing else.

    <uuid>@any.domain                    the heartbeat with this ping address
    <ping-key>+<slug>@any.domain         the heartbeat with this slug
    whatever `other` knows               an alert source

Every mail is a success, unless the heartbeat declares `keywords` for subject or text: then these decide. The mail
is kept as the ping's body, up to `ping_body_limit`. Rules and words: hc/api/management/commands/smtpd.py of
Healthchecks. The answer 250 means that the ping is on the disk. Nothing is ever sent on: there is no relay.

Bounds: SESSIONS at once, SIZE bytes a mail, RECIPIENTS a mail, 60 s of silence, READ bytes searched for keywords,
in a process of its own (mail_words.py).
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
from asyncio.subprocess import DEVNULL, PIPE
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from mainstay.heartbeats.directory import Directory, KnownHeartbeat, classify
from mainstay.heartbeats.doors.mail_words import READ
from mainstay.heartbeats.doors.pings import PingApp
from mainstay.heartbeats.intake import Incoming
from mainstay.heartbeats.rules import Ping, PingKind
from mainstay.heartbeats.spec import Keywords
from mainstay.kernel.errors import UserError

if TYPE_CHECKING:
    from aiosmtpd.smtp import SMTP, Envelope, Session

log = structlog.get_logger("mail")

SIZE = 5 * 1024 * 1024
RECIPIENTS = 20
SESSIONS = 20
_READERS = 2  # processes that read mails, at once
_READ_SECONDS = 30.0  # that a process may take to read a mail; of computing it has one
_SILENCE = 60.0

_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_BY_SLUG = re.compile(r"([-a-zA-Z0-9_]{1,100})\+([-a-zA-Z0-9_]{1,100})")

_REFUSED = "550 5.1.1 no heartbeat has this address"
_AGAIN = "451 4.3.0 cannot be recorded now, try again"
_TOO_MANY = "452 4.5.3 too many recipients"


def recipient(directory: Directory, address: str) -> KnownHeartbeat | None:
    """The heartbeat that a recipient's address means; the domain does not count."""
    local = address.rpartition("@")[0]
    if _UUID.fullmatch(local):
        return directory.by_uuid.get(local.lower())
    found = _BY_SLUG.fullmatch(local)
    if found is None or not directory.is_key(found[1]):
        return None
    named = directory.by_slug.get(found[2].lower(), ())
    return named[0] if len(named) == 1 else None


async def meaning(keywords: Keywords | None, mail: bytes) -> PingKind:
    """What a mail counts as. What cannot be read of it holds no keyword."""
    if keywords is None or not keywords.mail:
        return "success"
    wanted = [name for name in ("subject", "body") if getattr(keywords, name)]
    return classify(keywords, await _words(wanted, mail[:READ]))


async def _words(wanted: list[str], mail: bytes) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAINSTAY_")}
    reader = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "mainstay.heartbeats.doors.mail_words", *wanted,
        stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env=environment, start_new_session=True,
    )  # fmt: skip
    try:
        async with asyncio.timeout(_READ_SECONDS):
            out, _ = await reader.communicate(mail)
    except TimeoutError:
        out = b""
    finally:
        if reader.returncode is None:
            reader.kill()
            await reader.wait()
    if reader.returncode:
        log.info("a mail cannot be read to its end", status=reader.returncode)
    return out.decode("utf-8", "replace")


class OtherMail(Protocol):
    """What takes in mail to addresses that are no heartbeats."""

    async def knows(self, address: str) -> bool: ...

    async def take(self, address: str, mail: bytes, remote: str) -> int:
        """The status: 200 once it is on the disk, 404 if the address is none any more."""


class MailDoor:
    """Listens from `start` to `stop`. UserError if the address cannot be had or the package is missing."""

    def __init__(self, pings: PingApp, listen: str, other: OtherMail | None = None) -> None:
        self._pings = pings
        self._other = other
        self._listen = listen
        self._server: asyncio.Server | None = None
        self._open = 0
        self._readers = asyncio.Semaphore(_READERS)

    @property
    def port(self) -> int:
        """The port that it listens at, once started."""
        return int(self._server.sockets[0].getsockname()[1]) if self._server else 0

    async def start(self) -> None:
        try:
            from aiosmtpd.smtp import SMTP
        except ImportError:
            raise UserError("pings by mail need an additional package", hint="install mainstay[mail]") from None
        host, _, port = self._listen.rpartition(":")
        if not port.isdigit():
            raise UserError(f"MAINSTAY_MAIL_LISTEN must be host:port, not `{self._listen[:60]}`")
        session = partial(_session(SMTP, self), self._handler(), loop=asyncio.get_running_loop())
        try:
            self._server = await asyncio.get_running_loop().create_server(session, host.strip("[]") or None, int(port))
        except OSError as error:
            hint = "ports below 1024 need an extra privilege" if int(port) < 1024 else "is it in use?"
            raise UserError(f"cannot accept mail at {self._listen}: {error.strerror}", hint=hint) from None
        log.info("accepting pings by mail", listen=self._listen)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    def enter(self) -> bool:
        """A session begins; False if there are too many."""
        self._open += 1
        return self._open <= SESSIONS

    def leave(self) -> None:
        self._open -= 1

    def _handler(self) -> _Handler:
        return _Handler(self._pings, self._readers, self._other)


class _Handler:
    """What aiosmtpd asks at each step of a session; see its `concepts: handlers`."""

    def __init__(self, pings: PingApp, readers: asyncio.Semaphore, other: OtherMail | None) -> None:
        self._pings, self._readers, self._other = pings, readers, other

    async def handle_RCPT(  # noqa: N802  the library looks for this name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if len(envelope.rcpt_tos) >= RECIPIENTS:
            return _TOO_MANY
        entry = await self._pings.find(partial(recipient, address=address))
        if entry is None and not (self._other is not None and await self._other.knows(address)):
            return _REFUSED
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_VRFY(self, _server: SMTP, _session: Session, _envelope: Envelope, _address: str) -> str:  # noqa: N802
        return "502 5.5.1 addresses are not told"

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        mail = envelope.content or b""
        raw = mail.encode() if isinstance(mail, str) else mail
        answers = [await self._record(session, envelope, address, raw) for address in envelope.rcpt_tos]
        if all(status == 200 for status in answers):
            return "250 OK"
        return _REFUSED if 404 in answers else _AGAIN

    async def _record(self, session: Session, envelope: Envelope, address: str, mail: bytes) -> int:
        entry = recipient(self._pings.directory, address)
        remote = str(session.peer[0] if session.peer else "")[:45]
        if entry is None:  # of the other one, or deleted since the recipient was accepted
            async with self._readers:
                return await self._other.take(address, mail, remote) if self._other is not None else 404
        async with self._readers:
            kind = await meaning(entry.keywords, mail)
        sender = "".join(sign for sign in envelope.mail_from or "" if sign.isprintable())
        answer = await self._pings.take(
            Incoming(
                entry,
                Ping(self._pings.clock.now(), kind),
                method="",
                scheme="email",
                remote=remote,
                user_agent=f"Email from {sender}"[:200],
                body=mail,
                body_size=len(mail),
            )
        )
        return answer.status


def _session(library: type[SMTP], door: MailDoor) -> type[SMTP]:
    """The library's protocol with our bounds; made once the library is imported."""

    class BoundedSession(library):  # type: ignore[valid-type,misc]  # known when it is imported
        def __init__(self, handler: _Handler, loop: asyncio.AbstractEventLoop) -> None:
            super().__init__(
                handler,
                data_size_limit=SIZE,
                enable_SMTPUTF8=True,
                hostname="mainstay",
                ident="Mainstay",
                timeout=_SILENCE,
                auth_exclude_mechanism=["LOGIN", "PLAIN"],
                loop=loop,
            )

        def connection_made(self, transport: Any) -> None:
            fits = door.enter()
            super().connection_made(transport)
            if not fits:
                transport.write(b"421 4.3.2 too many sessions, try again\r\n")
                transport.close()

        def connection_lost(self, error: Exception | None) -> None:
            door.leave()
            super().connection_lost(error)

    return BoundedSession

"""Alerts by mail, at the server that takes in pings by mail: `<source>+<key>@any.domain`.

250 means that what it says is on the disk. A process of its own reads each mail.
"""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE

import msgspec

from mainstay.sources.directory import Source
from mainstay.sources.doors.intake import Intake, Refused
from mainstay.sources.formats import mail as reader
from mainstay.sources.formats.reading import Malformed
from mainstay.sources.verbs import KEPT_BODY, Body

_READ_SECONDS = 30.0


class SourceMail:
    """What the server for mail asks about recipients that are no heartbeats."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    async def knows(self, address: str) -> bool:
        """Whether mail to this address is taken in."""
        return await self._source(address) is not None

    async def take(self, address: str, mail: bytes, remote: str) -> int:
        """200 once it is recorded, 404 for an address that is none any more, else the status of a refusal."""
        source = await self._source(address)
        if source is None:
            return 404
        try:
            batch = reader.read(await _read(mail), source.target, self._intake.clock.now())
        except Malformed as error:
            await self._intake.note(source, self._shown(source, mail, str(error), remote, refused=True))
            return 200  # nobody can mend it by sending it again
        try:
            await self._intake.take(source, batch, self._shown(source, mail, "1 alert", remote))
        except Refused as refused:
            return refused.status
        return 200

    async def _source(self, address: str) -> Source | None:
        name, _, key = address.rpartition("@")[0].partition("+")
        found = await self._intake.find(lambda known: known.named(name))
        return found if found is not None and found.kind == "email" and found.opens(key) else None

    def _shown(self, source: Source, mail: bytes, outcome: str, remote: str, *, refused: bool = False) -> Body:
        text = mail[: KEPT_BODY * 2].decode("utf-8", "replace").replace("\0", " ")[:KEPT_BODY]
        return Body(source.masker.text(text), len(mail), outcome, refused, remote, "mail")


async def _read(mail: bytes) -> dict[str, object]:
    """Malformed where the reader gave up."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAINSTAY_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "mainstay.sources.doors.mail_reader",
        stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env=environment, start_new_session=True,
    )  # fmt: skip
    try:
        async with asyncio.timeout(_READ_SECONDS):
            out, _ = await process.communicate(mail)
    except TimeoutError:
        out = b""
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    try:
        return msgspec.json.decode(out, type=dict[str, object])
    except msgspec.DecodeError:
        raise Malformed("the mail cannot be read") from None

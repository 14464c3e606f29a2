"""Ask by WHOIS (RFC 3912): text that each registry writes in its own way. For what RDAP does not tell."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mainstay.integrations.checks.domain.registration import Registration, instant
from mainstay.integrations.checks.endpoints import format_endpoint, split_endpoint
from mainstay.integrations.checks.progress import excerpt, find_addresses
from mainstay.integrations.checks.sessions import Talk
from mainstay.integrations.checks.streams import connect
from mainstay.kernel.probing import CheckFault

if TYPE_CHECKING:
    from mainstay.integrations.checks.progress import Steps
    from mainstay.kernel.ports import CheckContext

ROOT = "whois.iana.org"
_PORT = 43
_READ = 65_536  # bytes of an answer
_REFERRAL = re.compile(r"^(?:refer|whois):\s*(\S+)", re.IGNORECASE | re.MULTILINE)
_EXPIRES = re.compile(
    r"^[ \t.]*\[?(?:(?:registry|registrar registration|domain|record|state)[ \t]+)?"
    r"(?:expiry date|expiration date|expiration time|expires(?: on| at)?|expire(?: date)?|exp date|paid-till"
    r"|renewal date|valid until|validity)\]?[ \t.]*[:\]][ \t]*(\S.*)$",
    re.IGNORECASE | re.MULTILINE,
)
_REGISTRAR = re.compile(r"^[ \t]*(?:sponsoring )?registrar(?: name)?:[ \t]*(\S.*)$", re.IGNORECASE | re.MULTILINE)
_STATUS = re.compile(r"^[ \t]*(?:domain )?(?:status|state):[ \t]*(\S.*)$", re.IGNORECASE | re.MULTILINE)
_NAMESERVER = re.compile(r"^[ \t]*(?:name ?server|nserver)s?:[ \t]*(\S+)", re.IGNORECASE | re.MULTILINE)
_ABSENT = re.compile(
    r"^[ \t%#>*]*(?:no match\b|not found\b|no entries found|no data found|domain not found|no object found"
    r"|nothing found|the queried object does not exist|status:[ \t]*(?:free|available)\b"
    r"|.{0,80}\bis (?:free|available)\b|.{0,80}\bnot (?:been )?registered\b)",
    re.IGNORECASE | re.MULTILINE,
)


async def ask(steps: Steps, context: CheckContext, name: str, server: str) -> Registration:
    """`server` is empty for the one that IANA names. Every CheckFault but `expect.registered` is unknown."""
    if not server:
        server = await _responsible(steps, context, name)
    text = await _query(steps, context, name, server)
    dates = [date for date in map(instant, _EXPIRES.findall(text)) if date is not None]
    known = bool(dates or _NAMESERVER.search(text))
    if not known and _ABSENT.search(text):
        raise CheckFault("expect.registered", f"the registry says that {name} is not registered")
    if not known and not _REGISTRAR.search(text):
        start = excerpt(text.strip()[:80])
        raise CheckFault(
            "wait.malformed", f"the answer of {server} cannot be read: it begins with `{start}`", verdict="unknown"
        )
    registrar = _REGISTRAR.search(text)
    return Registration(
        source="whois",
        server=server,
        expires=dates[0] if dates else None,
        registrar=excerpt(registrar[1].strip()) if registrar else "",
        statuses=[excerpt(status.split("http")[0].strip()) for status in _STATUS.findall(text)][:20],
        nameservers=[found.rstrip(".").lower() for found in _NAMESERVER.findall(text)][:20],
    )


async def _responsible(steps: Steps, context: CheckContext, name: str) -> str:
    ending = name.rpartition(".")[2]
    text = await _query(steps, context, ending, ROOT)
    found = _REFERRAL.search(text)
    if found is None:
        raise CheckFault("lookup.no_whois", f"{ROOT} knows no WHOIS server for .{ending}", verdict="unknown")
    try:
        return format_endpoint(*split_endpoint(found[1].lower(), _PORT))
    except ValueError as error:
        raise CheckFault("lookup.no_whois", f"{ROOT} refers to an invalid server: {error}", verdict="unknown") from None


async def _query(steps: Steps, context: CheckContext, question: str, server: str) -> str:
    """What the server says until it closes the connection."""
    host, port = split_endpoint(server, _PORT)
    try:
        stream = await connect(steps, await find_addresses(steps, context, host), port)
        try:
            with steps.phase("wait"):
                return await _answer(Talk(steps, stream, who=host, limit=_READ), question)
        finally:
            stream.close()
    except CheckFault as fault:
        where = format_endpoint(host, port)
        raise CheckFault(
            fault.code, f"the WHOIS server {where} could not be reached: {fault.message}", verdict="unknown"
        ) from None


async def _answer(talk: Talk, question: str) -> str:
    await talk.send(question.encode() + b"\r\n")
    received = bytearray()
    while True:
        try:
            received += await talk.some()
        except CheckFault as fault:
            if not received or fault.code != "wait.closed":
                raise
            return received.decode("utf-8", "replace").replace("\r\n", "\n")

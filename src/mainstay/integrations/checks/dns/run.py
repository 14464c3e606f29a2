"""Ask one server one question, over UDP, TCP or TLS.

RFC 1035 (messages), RFC 7766 (TCP), RFC 7858 (TLS), RFC 6891 (EDNS). The message code is dnspython's; the
transport is ours, so that the address guard, the phases and a refused port are seen as they are.
"""

from __future__ import annotations

import asyncio
import importlib
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mainstay.integrations.checks.certificates import load_reader, shake_hands, trust
from mainstay.integrations.checks.dns.answers import SHOWN, judge, records
from mainstay.integrations.checks.dns.datagrams import ask_over_udp
from mainstay.integrations.checks.dns.sections import SECTIONS, Section
from mainstay.integrations.checks.endpoints import format_endpoint, ip_address, split_endpoint
from mainstay.integrations.checks.progress import LatencyLimits, carry_out, document, find_addresses
from mainstay.integrations.checks.streams import connect, connection_failure
from mainstay.integrations.idn import ascii_host
from mainstay.kernel.probing import CheckFault

if TYPE_CHECKING:
    import dns.message

    from mainstay.integrations.checks.progress import Steps
    from mainstay.kernel.ports import CheckContext
    from mainstay.kernel.probing import CheckOrder, CheckResult

_RESOLV_CONF = Path("/etc/resolv.conf")
_PORT, _TLS_PORT = 53, 853
_SERVERS_LIMIT = 3  # as resolv.conf(5) has it
_PAYLOAD = 1232  # bytes of UDP that pass unfragmented nearly everywhere (DNS flag day 2020)


@dataclass(frozen=True, slots=True)
class Prepared:
    timeout: float
    name: str
    type: str
    resolver: str
    port: int
    protocol: str
    server_name: str
    values: list[str]
    match: str
    rcodes: tuple[str, ...]
    sections: tuple[Section, ...]
    verify: bool
    ca: str
    versions: tuple[str, str]  # oldest and newest version of TLS, empty where it does not matter
    client: tuple[str, str]  # certificate and key, empty where none is shown
    class_: str
    recursion: bool
    edns: bool
    min_answers: int
    dnssec: bool
    limits: LatencyLimits


def prepare(order: CheckOrder) -> Prepared:
    target, expect = document(order, "target"), document(order, "expect")
    protocol = target.get("protocol", "udp")
    load_messages()
    if protocol == "tls":
        load_reader()
    written = target.get("resolver") or ""
    resolver, port = split_endpoint(written, _TLS_PORT if protocol == "tls" else _PORT) if written else ("", _PORT)
    written_rcode = expect.get("rcode", "NOERROR")
    rcodes = (written_rcode,) if isinstance(written_rcode, str) else tuple(written_rcode)
    least = expect.get("min_answers")
    return Prepared(
        timeout=order.timeout,
        name=target["name"],
        type=target.get("type", "A"),
        resolver=resolver,
        port=port,
        protocol=protocol,
        server_name=target.get("server_name") or resolver,
        values=expect.get("values") or [],
        match=expect.get("match", "all"),
        rcodes=rcodes,
        sections=tuple(Section(name, expect[name]) for name in SECTIONS if expect.get(name)),
        verify=target.get("verify", True),
        ca=target.get("ca") or "",
        versions=(target.get("min_version") or "", target.get("max_version") or ""),
        client=(target.get("certificate") or "", target.get("key") or ""),
        class_=target.get("class", "IN"),
        recursion=target.get("recursion", True),
        edns=target.get("edns", True),
        min_answers=least if least is not None else int(rcodes == ("NOERROR",)),
        dnssec=expect.get("dnssec", False),
        limits=LatencyLimits(expect),
    )


def load_messages() -> None:
    """Import what reads messages, once and before any check: it takes a tenth of a second."""
    for name in ("flags", "message", "name", "rcode", "rdatatype", "reversename"):
        importlib.import_module(f"dns.{name}")


async def run(plan: Prepared, context: CheckContext) -> CheckResult:
    async def walk(steps: Steps) -> None:
        query = _question(plan)
        response = await _ask(plan, context, steps, query)
        steps.current = "expect"
        found = records(response, plan.type)
        steps.evidence |= _facts(response, found)
        judge(plan, response, found)
        plan.limits.judge(steps.taken)

    return await carry_out(plan.timeout, walk)


def _question(plan: Prepared) -> dns.message.Message:
    import dns.exception
    import dns.flags
    import dns.message
    import dns.name
    import dns.reversename

    try:
        name = dns.name.from_text(ascii_host(plan.name))
        if plan.type == "PTR" and ip_address(plan.name) is not None:
            name = dns.reversename.from_address(plan.name)
    except (dns.exception.DNSException, ValueError) as error:
        raise CheckFault(
            "check.bad_name", f"`{plan.name[:80]}` is not a domain name: {error}", verdict="unknown"
        ) from None
    edns: dict[str, Any] = {"use_edns": 0, "payload": _PAYLOAD} if plan.edns or plan.dnssec else {"use_edns": False}
    query = dns.message.make_query(name, plan.type, plan.class_, want_dnssec=plan.dnssec, **edns)
    if not plan.recursion:
        query.flags &= ~dns.flags.RD
    if plan.dnssec:
        query.flags |= dns.flags.AD  # RFC 6840 section 5.7: we understand the answer's AD flag
    return query


async def _ask(plan: Prepared, context: CheckContext, steps: Steps, query: dns.message.Message) -> dns.message.Message:
    """Ask the server named, else the system's servers one after the other, each with its share of the time."""
    if plan.resolver:
        # A spec allows addresses only, /probe also names; either way the context guards what is asked.
        if ip_address(plan.resolver) is None:
            addresses = await find_addresses(steps, context, plan.resolver)
        else:
            addresses = await context.addresses(plan.resolver)
        return await _ask_one(plan, context, steps, query, addresses[0])
    # That the system's resolver is dead says nothing about the name.
    fault = CheckFault(
        "check.no_resolver", f"{_RESOLV_CONF} lists no resolver; set one in the target", verdict="unknown"
    )
    servers = await asyncio.to_thread(system_servers, _RESOLV_CONF)
    for index, server in enumerate(servers):
        steps.if_late = fault = CheckFault("wait.timeout", f"the resolver {server} does not answer", verdict="unknown")
        try:
            async with asyncio.timeout(steps.remaining / (len(servers) - index)):
                return await _ask_one(plan, context, steps, query, server)
        except TimeoutError:
            continue
        except CheckFault as found:
            fault = CheckFault(found.code, found.message, verdict="unknown")
    raise fault


def system_servers(path: Path) -> list[str]:
    """The addresses in resolv.conf(5). They are the machine's own configuration, so the guard is not asked."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return []
    words = [line.split() for line in lines]
    named = [word[1] for word in words if len(word) > 1 and word[0] == "nameserver"]
    return [server for server in named if ip_address(server) is not None][:_SERVERS_LIMIT]


async def _ask_one(
    plan: Prepared, context: CheckContext, steps: Steps, query: dns.message.Message, server: str
) -> dns.message.Message:
    import dns.flags

    steps.evidence["resolver"] = format_endpoint(server, plan.port)
    steps.evidence["address"] = format_endpoint(server, plan.port)
    steps.evidence["protocol"] = plan.protocol
    if plan.protocol == "udp":
        response = await ask_over_udp(steps, query, server, plan.port)
        if not response.flags & dns.flags.TC:
            return response
        steps.evidence["protocol"] = "tcp"  # RFC 7766 section 5: what was cut short is asked for again over TCP
    return await _ask_over_stream(plan, context, steps, query, server)


async def _ask_over_stream(
    plan: Prepared, context: CheckContext, steps: Steps, query: dns.message.Message, server: str
) -> dns.message.Message:
    stream = await connect(steps, [server], plan.port)
    try:
        if plan.protocol == "tls":
            trusted = trust(plan.ca, context.ca_file, plan.verify, plan.versions, plan.client)
            await shake_hands(steps, stream, trusted, plan.server_name)
        with steps.phase("wait"):
            try:
                await stream.send(query.to_wire(prepend_length=True))
                size = int.from_bytes(await stream.receive_exactly(2))
                wire = await stream.receive_exactly(size)
            except (OSError, ssl.SSLError) as error:
                raise connection_failure(error, "the resolver", "wait") from None
    finally:
        stream.close()
    if not wire or len(wire) < size:
        raise CheckFault("wait.closed", "the resolver closed the connection before its answer was complete")
    return _parse(query, wire)


def _parse(query: dns.message.Message, wire: bytes) -> dns.message.Message:
    import dns.exception
    import dns.message

    try:
        response = dns.message.from_wire(wire)
    except (dns.exception.DNSException, ValueError) as error:
        raise CheckFault("wait.malformed", f"the answer is not a DNS message: {type(error).__name__}") from None
    if not query.is_response(response):
        raise CheckFault("wait.malformed", "the answer belongs to another query")
    return response


def _facts(response: dns.message.Message, found: list[str]) -> dict[str, object]:
    import dns.flags
    import dns.rcode

    facts: dict[str, object] = {
        "rcode": dns.rcode.to_text(response.rcode()),
        "flags": dns.flags.to_text(response.flags),
        "answers": found[:SHOWN],
        "answer_rrs": sum(len(rrset) for rrset in response.answer),
        "authority_rrs": sum(len(rrset) for rrset in response.authority),
        "additional_rrs": sum(len(rrset) for rrset in response.additional) + (response.opt is not None),
    }
    if response.answer:
        facts["ttl"] = min(rrset.ttl for rrset in response.answer)
    serial = next((getattr(record, "serial", None) for rrset in response.answer for record in rrset), None)
    if serial is not None:
        facts["serial"] = serial
    return facts

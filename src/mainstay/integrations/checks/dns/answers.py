"""What a DNS answer is compared with: pure functions over parsed messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mainstay.integrations.checks.endpoints import ip_address
from mainstay.kernel.probing import CheckFault

if TYPE_CHECKING:
    import dns.message

SHOWN = 50  # records that go into evidence

_HINTS = {
    "NXDOMAIN": "the name does not exist",
    "SERVFAIL": "the resolver failed; invalid DNSSEC signatures or unreachable name servers can cause this",
    "REFUSED": "the resolver refuses to answer us",
}


def records(response: dns.message.Message, record_type: str) -> list[str]:
    """The records of the type in the answer, as sorted text; those of a CNAME's target included."""
    import dns.rdatatype

    wanted = dns.rdatatype.from_text(record_type)
    matching = (rrset for rrset in response.answer if rrset.rdtype == wanted)
    return sorted(as_text(record, record_type) for rrset in matching for record in rrset)


def as_text(record: Any, record_type: str) -> str:
    if record_type == "TXT":  # the strings of one record are one text cut at 255 bytes (RFC 7208 section 3.3)
        return "".join(part.decode("utf-8", "replace") for part in record.strings)
    text: str = record.to_text()
    return " ".join(_without_dot(word) for word in text.split(" "))


def _without_dot(word: str) -> str:
    return word.rstrip(".") or word


def comparable(text: str, record_type: str) -> str:
    """Two records with the same meaning give the same text: case, final dots, quotes and IPv6 forms are evened out."""
    text = text.strip()
    if record_type == "TXT":
        return text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text
    address = ip_address(text) if record_type in ("A", "AAAA") else None
    if address is not None:
        return str(address)
    return " ".join(_without_dot(word).strip('"') for word in text.lower().split())


def judge(plan: Any, response: dns.message.Message, found: list[str]) -> None:
    """CheckFault for the first expectation that the answer does not meet."""
    import dns.flags
    import dns.rcode

    rcode = dns.rcode.to_text(response.rcode())
    if rcode not in plan.rcodes:
        hint = f": {_HINTS[rcode]}" if rcode in _HINTS else ""
        raise CheckFault("expect.rcode", f"the answer is {rcode}, not {' or '.join(plan.rcodes)}{hint}")
    if plan.dnssec and not response.flags & dns.flags.AD:
        raise CheckFault("expect.dnssec", "the resolver does not say that it has validated the answer (no AD flag)")
    if len(found) < plan.min_answers:
        wanted = f"{plan.min_answers} {plan.type} record{'s' if plan.min_answers > 1 else ''}"
        raise CheckFault("expect.answers", f"{len(found)} arrived where {wanted} were expected")
    if plan.values:
        _judge_values(plan, found)
    for section in plan.sections:
        section.judge(response)


def _judge_values(plan: Any, found: list[str]) -> None:
    wanted = {comparable(value, plan.type): value for value in plan.values}
    got = {comparable(value, plan.type): value for value in found}
    shown = ", ".join(found[:5]) or "nothing"
    missing = [value for key, value in wanted.items() if key not in got]
    if plan.match == "any":
        if len(missing) == len(wanted):
            raise CheckFault("expect.values", f"none of {', '.join(plan.values[:5])} came, but {shown}")
        return
    if missing:
        raise CheckFault("expect.values", f"{', '.join(missing[:5])} did not arrive; the answer has {shown}")
    surplus = [value for key, value in got.items() if key not in wanted]
    if plan.match == "exact" and surplus:
        raise CheckFault("expect.values", f"{', '.join(surplus[:5])} came, which is not expected")

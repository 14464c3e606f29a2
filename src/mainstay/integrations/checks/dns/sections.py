"""Patterns for the records of a section of an answer, each written as in a zone file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mainstay.kernel.patterns import Pattern, compile_pattern, search
from mainstay.kernel.probing import CheckFault

if TYPE_CHECKING:
    import dns.message

SECTIONS = ("answer", "authority", "additional")
_RECORDS = 1000  # of one section that are looked at


class Section:
    """The patterns of one section, compiled once."""

    __slots__ = ("_each", "_empty", "_name", "_none", "_some")

    def __init__(self, name: str, patterns: dict[str, Any]) -> None:
        self._name = name
        self._each = _compiled(patterns, "each")
        self._some = _compiled(patterns, "some")
        self._none = _compiled(patterns, "none")
        self._empty = bool(patterns.get("empty"))

    def judge(self, response: dns.message.Message) -> None:
        """CheckFault `expect.records`; others as `search` raises them."""
        records = written_records(response, self._name)
        if not records and (self._some or (self._each and not self._empty)):
            raise CheckFault("expect.records", f"there is no record in the section {self._name}")
        for record in records:
            self._judge_one(record)
        if self._some and not any(search(pattern, record) for record in records for pattern in self._some):
            wanted = " or ".join(f"`{pattern.pattern[:60]}`" for pattern in self._some[:3])
            raise CheckFault("expect.records", f"no record in the section {self._name} matches {wanted}")

    def _judge_one(self, record: str) -> None:
        shown = record.replace("\t", " ")[:100]
        for pattern in self._none:
            if search(pattern, record):
                raise CheckFault("expect.records", f"`{shown}` matches `{pattern.pattern[:100]}`")
        for pattern in self._each:
            if not search(pattern, record):
                raise CheckFault("expect.records", f"`{shown}` does not match `{pattern.pattern[:100]}`")


def written_records(response: dns.message.Message, section: str) -> list[str]:
    """`name\\tTTL\\tclass\\ttype\\tdata` of each record, in the order in which they came."""
    import dns.rdataclass
    import dns.rdatatype

    rrsets: Any = getattr(response, section)
    lines = (
        f"{rrset.name}\t{rrset.ttl}\t{dns.rdataclass.to_text(rrset.rdclass)}\t"
        f"{dns.rdatatype.to_text(rrset.rdtype)}\t{record.to_text()}"
        for rrset in rrsets
        for record in rrset
    )
    return [line for _, line in zip(range(_RECORDS), lines, strict=False)]


def _compiled(patterns: dict[str, Any], name: str) -> tuple[Pattern, ...]:
    return tuple(compile_pattern(pattern) for pattern in patterns.get(name) or ())

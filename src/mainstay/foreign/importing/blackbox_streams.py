"""The parts `tcp`, `dns`, `icmp` and `grpc` of a module of the blackbox exporter."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from mainstay.foreign.importing.blackbox_parts import NO_SOURCE, pattern_of, patterns_of, put_tls
from mainstay.foreign.importing.draft import Draft, is_secret_name
from mainstay.foreign.importing.requests import KEPT_OUTSIDE, put_body
from mainstay.foreign.importing.source import Node, carry, leave

_SMALLEST_PACKET, _LARGEST_PACKET = 16, 8192  # bytes after the ICMP header


@dataclass(slots=True)
class Probe:
    """A module with a target, as parts of a monitor. `main` is the field of the target that names it."""

    kind: str
    main: str
    target: dict[str, Any] = field(default_factory=dict)
    expect: dict[str, Any] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)


def mail_kind(module: Node) -> str:
    """Which mail protocol a conversation with STARTTLS is; empty if it is none."""
    settings = module.mapping("tcp")
    steps = settings.entries("query_response") if settings is not None and module.text("prober") == "tcp" else []
    if not any(upgrade.is_on for step in steps if (upgrade := step.get("starttls")) is not None):
        return ""
    said = "\n".join(step.text("send").upper() for step in steps)
    if re.search(r"^(EHLO|HELO)\b", said, re.MULTILINE):
        return "smtp"
    if re.search(r"^STLS\b", said, re.MULTILINE):
        return "pop3"
    return "imap" if re.search(r"^\S+ STARTTLS\b", said, re.MULTILINE) else ""


def put_mail(draft: Draft, settings: Node, target: str, probe: Probe, to: str) -> None:
    """The kinds of mail hold the conversation themselves."""
    probe.target |= {"address": target} if target else {}
    probe.target["security"] = "starttls"
    if (steps := settings.get("query_response")) is not None:
        steps.approximated(f"{to}.{probe.kind}", f"the kind {probe.kind} sends its own greeting and STARTTLS")
    leave(settings, "TLS begins with STARTTLS", "tls")
    _tls(draft, settings, probe, to, ("verify", "ca", "server_name"))
    leave(settings, NO_SOURCE, "source_ip_address")


def _tls(draft: Draft, settings: Node, probe: Probe, to: str, taken: tuple[str, ...]) -> None:
    """`tls_config`, as far as the kind takes it: the rest is told."""
    options = settings.mapping("tls_config")
    if options is None:
        return
    found: dict[str, Any] = {}
    put_tls(draft, options, found, f"{to}.{probe.kind}", probe.kind)
    probe.target |= {key: value for key, value in found.items() if key in taken}
    if "certificate" not in taken:
        why = f"a {probe.kind} check shows no certificate of its own"
        leave(options, why, "cert", "key", "cert_file", "key_file")
    if "min_version" not in taken:
        leave(options, "TLS 1.2 and newer are spoken", "min_version", "max_version")


def put_tcp(draft: Draft, settings: Node, target: str, probe: Probe, to: str) -> None:
    probe.target |= {"address": target} if target else {}
    if (tls := settings.get("tls")) is not None:
        probe.target |= {"tls": True} if tls.is_on else {}
        tls.carried(f"{to}.tcp.tls")
    _tls(draft, settings, probe, to, ("verify", "ca", "server_name"))
    talk = [turn for step in settings.entries("query_response") if (turn := _turn(draft, step, to, probe))]
    if talk:
        probe.target["talk"] = talk
    leave(settings, NO_SOURCE, "source_ip_address")


def _turn(draft: Draft, step: Node, to: str, probe: Probe) -> dict[str, Any]:
    """One turn of the conversation: wait for a line, send one, begin TLS."""
    turn: dict[str, Any] = {}
    expect, send, upgrade = step.get("expect"), step.get("send"), step.get("starttls")
    if expect is not None and (written := pattern_of(expect, f"{to}.tcp.talk")) is not None:
        turn["expect"] = written
    if send is not None:
        sent: dict[str, Any] = {}
        put_body(draft, send, sent, f"{to}.tcp.talk", probe.kind)
        turn |= {"send": sent["body"]} if sent else {}
    if upgrade is not None:
        turn |= {"starttls": True} if upgrade.is_on else {}
        upgrade.carried(f"{to}.tcp.talk")
    leave(step, "what a target sends does not become labels", "labels")
    return turn


def put_icmp(_draft: Draft, settings: Node, target: str, probe: Probe, to: str) -> None:
    probe.target |= {"host": target} if target else {}
    if (size := settings.get("payload_size")) is not None:
        wanted = int(size.as_number() or 0)
        fitted = min(max(wanted, _SMALLEST_PACKET), _LARGEST_PACKET)
        probe.target["size"] = fitted
        if fitted == wanted:
            size.carried(f"{to}.icmp.size")
        else:
            size.approximated(f"{to}.icmp.size", f"a packet has {_SMALLEST_PACKET} to {_LARGEST_PACKET} bytes")
    if (whole := settings.get("dont_fragment")) is not None:
        probe.target |= {"dont_fragment": True} if whole.is_on else {}
        whole.carried(f"{to}.icmp.dont_fragment")
    if (ttl := settings.get("ttl")) is not None:
        hops = int(ttl.as_number() or 0)
        if 1 <= hops <= 255:
            probe.target["ttl"] = hops
        elif hops:
            ttl.mistake("`ttl` is a number from 0 to 255")
        ttl.carried(f"{to}.icmp.ttl")
    leave(settings, NO_SOURCE, "source_ip_address")


def put_dns(draft: Draft, settings: Node, target: str, probe: Probe, to: str) -> None:
    probe.target |= {"name": settings.text("query_name"), "type": settings.text("query_type") or "ANY"}
    carry(settings.get("query_name"), f"{to}.dns.name")
    carry(settings.get("query_type"), f"{to}.dns.type")
    if target:
        probe.target["resolver"] = target
    if (group := settings.get("query_class")) is not None:
        probe.target |= {"class": group.as_text()} if group.as_text() not in ("", "IN") else {}
        group.carried(f"{to}.dns.class")
    if (asked := settings.get("recursion_desired")) is not None:
        probe.target |= {} if asked.is_on else {"recursion": False}
        asked.carried(f"{to}.dns.recursion")
    transport, over_tls = settings.get("transport_protocol"), settings.get("dns_over_tls")
    if over_tls is not None and over_tls.is_on:
        probe.target["protocol"] = "tls"
        _tls(draft, settings, probe, to, ("verify", "ca", "server_name"))
    else:
        leave(settings, "without `dns_over_tls` there is no TLS", "tls_config")
        if transport is not None and transport.as_text().startswith("tcp"):
            probe.target["protocol"] = "tcp"
    carry(transport, f"{to}.dns.protocol")
    carry(over_tls, f"{to}.dns.protocol")
    _dns_expect(settings, probe, to)
    leave(settings, NO_SOURCE, "source_ip_address")


def _dns_expect(settings: Node, probe: Probe, to: str) -> None:
    probe.expect["min_answers"] = 0  # the exporter takes an empty answer too
    codes = settings.get("valid_rcodes")
    if codes is not None and isinstance(codes.value, list) and codes.value:
        written = [str(code) for code in codes.value]
        probe.expect["rcode"] = written[0] if len(written) == 1 else written
    carry(codes, f"{to}.expect.rcode")
    for section in ("answer", "authority", "additional"):
        inner = settings.mapping(f"validate_{section}_rrs")
        if inner is not None and (found := _section(inner, f"{to}.expect.{section}")):
            probe.expect[section] = found


def _section(inner: Node, to: str) -> dict[str, Any]:
    """Records of one section. `fail_if_all_match_regexp` asks that all match, whatever its name says: prober/dns.go."""
    each = patterns_of(inner.get("fail_if_not_matches_regexp"), f"{to}.each")
    every = patterns_of(inner.get("fail_if_all_match_regexp"), f"{to}.each")
    patterns = {
        "each": [*each, *every],
        "some": patterns_of(inner.get("fail_if_none_matches_regexp"), f"{to}.some"),
        "none": patterns_of(inner.get("fail_if_matches_regexp"), f"{to}.none"),
    }
    found: dict[str, Any] = {name: listed for name, listed in patterns.items() if listed}
    return found | {"empty": True} if found and not each else found


def put_grpc(draft: Draft, settings: Node, target: str, probe: Probe, to: str) -> None:
    probe.target |= {"address": target} if target else {}
    if (service := settings.get("service")) is not None:
        probe.target |= {"service": service.as_text()} if service.as_text() else {}
        service.carried(f"{to}.grpc.service")
    if (tls := settings.get("tls")) is not None:
        probe.target |= {"tls": True} if tls.is_on else {}
        tls.carried(f"{to}.grpc.tls")
    _tls(draft, settings, probe, to, ("verify", "ca", "server_name", "certificate", "key"))
    metadata = settings.mapping("metadata")
    for entry in metadata.fields() if metadata is not None else ():
        _metadata(draft, entry, probe, to)


def _metadata(draft: Draft, entry: Node, probe: Probe, to: str) -> None:
    values = entry.value if isinstance(entry.value, list) else [entry.value]
    if len(values) != 1:
        entry.left("metadata has one value for each name")
        return
    value = Node(values[0], (*entry.path, 0) if isinstance(entry.value, list) else entry.path, entry.report)
    where = f"{to}.grpc.metadata.{entry.key}"
    secret = is_secret_name(entry.key)
    written = draft.secret(value, f"grpc_{entry.key}") if secret else value.as_text()
    probe.target.setdefault("metadata", {})[entry.key] = written
    value.carried(where, KEPT_OUTSIDE if secret else "")


STREAMS = {"tcp": put_tcp, "icmp": put_icmp, "dns": put_dns, "grpc": put_grpc}

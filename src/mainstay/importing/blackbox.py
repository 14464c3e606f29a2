"""The blackbox exporter's `modules`, alone as templates or with targets as monitors.

Fields: https://github.com/prometheus/blackbox_exporter/blob/master/CONFIGURATION.md.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from mainstay.importing.blackbox_http import pattern_of, put_http, put_tls
from mainstay.importing.draft import Draft, fitting_name
from mainstay.importing.requests import put_body, put_url, shortened
from mainstay.importing.source import Node, bounded, carry, leave
from mainstay.importing.values import go_duration, is_address
from mainstay.kernel.errors import UserError

TEMPLATES = "x-modules"
_KINDS = {"http": "http", "tcp": "tcp", "dns": "dns", "icmp": "icmp", "grpc": "grpc"}
_PACKETS = {
    "dont_fragment": "packets may be cut into pieces",
    "source_ip_address": "the address to send from is chosen by the system",
    "ttl": "packets carry the system's time to live",
}


@dataclass(slots=True)
class Probe:
    """A module with a target, as parts of a monitor. `main` is the field of the target that names it."""

    kind: str
    main: str
    target: dict[str, Any] = field(default_factory=dict)
    expect: dict[str, Any] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        expect = {"expect": self.expect} if self.expect else {}
        return {self.kind: shortened(self.target, self.main), **self.more, **expect}


def import_blackbox(root: Node, draft: Draft, targets: Sequence[str]) -> None:
    """Monitors for `module=target`, or `target` where there is one module; templates of modules without targets."""
    modules = modules_of(root)
    chosen: dict[str, list[str]] = {}
    for written in targets:
        wanted, target = _chosen(written, modules)
        chosen.setdefault(wanted, []).append(target)
    for name, module in modules.items():
        if name not in chosen:
            to = f"{TEMPLATES}.{name}"
            probe = read_module(module, "", None, draft, (name, to))
            if isinstance(probe, str):
                module.left(probe)
                continue
            draft.templates[name] = probe.document()
            carry(module.get("prober"), f"{to}.{probe.kind}")
        for target in chosen.get(name, ()):
            add_probe(draft, module, target, module, [target])


def modules_of(root: Node) -> dict[str, Node]:
    found = root.mapping("modules")
    if found is None:
        root.mistake("the file has no `modules`")
        return {}
    modules = {module.key: module for module in found.fields()}
    for module in modules.values():
        if not isinstance(module.value, dict):
            module.mistake(f"the module `{module.key}` must be a mapping")
    return {name: module for name, module in modules.items() if isinstance(module.value, dict)}


def _chosen(written: str, modules: dict[str, Node]) -> tuple[str, str]:
    module, equals, target = written.partition("=")
    if equals and module in modules:
        return module, target
    if len(modules) == 1:
        return next(iter(modules)), written
    raise UserError(
        f"--target {written[:60]} names no module", hint=f"write MODULE=TARGET; modules are {', '.join(modules)}"
    )


def add_probe(draft: Draft, module: Node, target: str, node: Node, names: Sequence[str]) -> str | None:
    """A monitor of the module against the target; its path, or None with the reason told."""
    address = target.rpartition("://")[2].rpartition("@")[2].partition("?")[0]
    name = draft.name("monitor", *(fitting_name(one) for one in names[:-1]), address, f"{module.key}-{address}")
    to = f"monitors.{name}"
    probe = read_module(module, target, node, draft, (name, to))
    if isinstance(probe, str):
        node.left(probe)
        return None
    carry(module.get("prober"), f"{to}.{probe.kind}")
    draft.add("monitor", name, probe.document(), node)
    return to


def read_module(module: Node, target: str, node: Node | None, draft: Draft, named: tuple[str, str]) -> Probe | str:
    """The parts of a monitor; why there are none, if that is so. `named`: its name and its path."""
    prober = module.text("prober")
    if prober not in _KINDS:
        return f"Mainstay has no check for the prober `{prober[:40]}`"
    if prober == "dns" and target and not is_address(target):
        return "a resolver is given by its address, and this one is a name"
    kind = _mail_kind(module) or _KINDS[prober]
    if kind not in draft.kinds:
        return f"needs the check kind `{kind}`, which this install does not have"
    name, to = named
    settings = module.mapping(prober)
    settings = settings if settings is not None else Node({}, (*module.path, prober), module.report)
    probe = Probe(kind, {"http": "url", "icmp": "host", "dns": "name"}.get(kind, "address"))
    _timeout(module, probe, to)
    if kind == "http":
        _target_url(draft, target, node, probe, (name, to))
        put_http(draft, settings, probe.target, probe.expect, (module.key, to))
        _ssl(settings, target)
    elif prober != kind:
        _mail(settings, target, probe, to)
    else:
        _STREAMS[kind](draft, settings, target, probe, to)
    _family(settings, probe, to)
    for other in _KINDS:
        if other != prober:
            leave(module, f"a module of the prober {prober} does not use it", other)
    return probe


def _timeout(module: Node, probe: Probe, to: str) -> None:
    timeout = module.get("timeout")
    seconds = go_duration(timeout.value) if timeout is not None else None
    if timeout is not None and seconds is None:
        timeout.mistake(f"`{str(timeout.value)[:40]}` is not a duration such as 5s")
    elif timeout is not None and seconds:
        probe.more["timeout"] = bounded(timeout, seconds, 0.1, 120, f"{to}.timeout")
    else:
        carry(timeout, f"{to}.timeout")


def _target_url(draft: Draft, target: str, node: Node | None, probe: Probe, named: tuple[str, str]) -> None:
    if not target:
        return
    url = target if "://" in target else f"http://{target}"
    where = node if node is not None else Node(url, (), draft.report)
    own = Node(url, where.path, where.report)
    rest: dict[str, Any] = {}
    put_url(draft, own, rest, f"{named[1]}.http", named[0])
    probe.target |= {"url": rest["url"], **rest}


def _ssl(settings: Node, target: str) -> None:
    plain, needed = settings.get("fail_if_ssl"), settings.get("fail_if_not_ssl")
    for node, scheme in ((plain, "http://"), (needed, "https://")):
        if node is None:
            continue
        if not node.is_on or target.startswith(scheme):
            node.carried("", "the target says it by its scheme, as far as no redirect leads elsewhere")
        else:
            node.left(f"write a target that begins with {scheme}")


def _family(settings: Node, probe: Probe, to: str) -> None:
    preferred, fallback = settings.get("preferred_ip_protocol"), settings.get("ip_protocol_fallback")
    strict = fallback is not None and not fallback.is_on
    version = {"ip4": 4, "ip6": 6}.get(preferred.as_text() if preferred is not None else "")
    if strict and probe.kind == "http":
        probe.target["ip_version"] = version or 6
        carry(preferred, f"{to}.http.ip_version")
        carry(fallback, f"{to}.http.ip_version")
        return
    why = "addresses are tried in the order of the resolver, both versions"
    for node in (preferred, fallback):
        if node is not None and (strict or node is preferred):
            node.approximated(f"{to}.{probe.kind}", why)
        carry(node, f"{to}.{probe.kind}")


def _mail_kind(module: Node) -> str:
    """Which mail protocol a conversation with STARTTLS is; empty if it is none."""
    settings = module.mapping("tcp")
    steps = settings.entries("query_response") if settings is not None and module.text("prober") == "tcp" else []
    if not any(upgrade.is_on for step in steps if (upgrade := step.get("starttls")) is not None):
        return ""
    said = " ".join(step.text("send").upper() for step in steps)
    return "smtp" if re.search(r"\b(EHLO|HELO)\b", said) else "pop3" if re.search(r"\bSTLS\b", said) else "imap"


def _mail(settings: Node, target: str, probe: Probe, to: str) -> None:
    """The kinds of mail hold the conversation themselves."""
    probe.target |= {"address": target} if target else {}
    probe.target["security"] = "starttls"
    if (steps := settings.get("query_response")) is not None:
        steps.approximated(f"{to}.{probe.kind}", f"the kind {probe.kind} greets and asks for STARTTLS by itself")
    if (options := settings.mapping("tls_config")) is not None:
        _stream_tls(Node({"tls_config": options.value}, settings.path, settings.report), probe, to, probe.kind)
    leave(settings, "TLS begins with STARTTLS", "tls")


def _tcp(draft: Draft, settings: Node, target: str, probe: Probe, to: str) -> None:
    probe.target |= {"address": target} if target else {}
    _stream_tls(settings, probe, to, "tcp")
    sent = expected = False
    for step in settings.entries("query_response"):
        send, expect, upgrade = step.get("send"), step.get("expect"), step.get("starttls")
        if expect is not None and not expected:
            probe.expect["regex"] = pattern_of(expect)
            expect.carried(f"{to}.expect.regex")
            expected = True
        elif expect is not None:
            expect.left("a tcp check expects one answer; write a monitor for what comes after it")
        if send is not None and not sent and (not expected or expect is None):
            put_body(draft, Node(f"{send.as_text()}\n", send.path, send.report), probe.target, f"{to}.tcp", to)
            probe.target["send"] = probe.target.pop("body")
            sent = True
        elif send is not None:
            send.left("a tcp check sends once")
        leave(step, "STARTTLS is spoken by the kinds smtp, imap and pop3", "starttls")
        carry(upgrade if upgrade is not None and not upgrade.is_on else None, "")
    leave(settings, _PACKETS["source_ip_address"], "source_ip_address")


def _stream_tls(settings: Node, probe: Probe, to: str, kind: str) -> None:
    if (tls := settings.get("tls")) is not None:
        probe.target |= {"tls": True} if tls.is_on else {}
        tls.carried(f"{to}.{kind}.tls")
    if (options := settings.mapping("tls_config")) is not None:
        found: dict[str, Any] = {}
        put_tls(options, found, f"{to}.{kind}")
        probe.target |= {key: value for key, value in found.items() if key in ("verify", "ca", "server_name")}
        leave(options, f"a {kind} check shows no certificate of its own", "cert_file", "key_file", "min_version")


def _icmp(draft: Draft, settings: Node, target: str, probe: Probe, to: str) -> None:
    del draft
    probe.target |= {"host": target} if target else {}
    if (size := settings.get("payload_size")) is not None:
        probe.target["size"] = int(size.as_number() or 0)
        size.carried(f"{to}.icmp.size")
    for key, why in _PACKETS.items():
        leave(settings, why, key)


def _dns(draft: Draft, settings: Node, target: str, probe: Probe, to: str) -> None:
    del draft
    probe.target |= {"name": settings.text("query_name"), "type": settings.text("query_type") or "ANY"}
    carry(settings.get("query_name"), f"{to}.dns.name")
    carry(settings.get("query_type"), f"{to}.dns.type")
    if target:
        probe.target["resolver"] = target
    transport, over_tls = settings.get("transport_protocol"), settings.get("dns_over_tls")
    if over_tls is not None and over_tls.is_on:
        probe.target["protocol"] = "tls"
    elif transport is not None and transport.as_text().startswith("tcp"):
        probe.target["protocol"] = "tcp"
    carry(transport, f"{to}.dns.protocol")
    carry(over_tls, f"{to}.dns.protocol")
    codes = settings.get("valid_rcodes")
    if codes is not None and isinstance(codes.value, list) and codes.value:
        probe.expect["rcode"] = str(codes.value[0])
        codes.carried(f"{to}.expect.rcode")
        if len(codes.value) > 1:
            codes.approximated(f"{to}.expect.rcode", "one response code can be expected, the first of them")
    for key in ("validate_answer_rrs", "validate_authority_rrs", "validate_additional_rrs"):
        leave(settings, "records are expected as they are, not by patterns: see `values`", key)
    leave(settings, "queries ask for recursion, in the class IN", "recursion_desired", "query_class")
    leave(settings, _PACKETS["source_ip_address"], "source_ip_address")


def _grpc(draft: Draft, settings: Node, target: str, probe: Probe, to: str) -> None:
    del draft
    probe.target |= {"address": target} if target else {}
    if (service := settings.get("service")) is not None:
        probe.target |= {"service": service.as_text()} if service.as_text() else {}
        service.carried(f"{to}.grpc.service")
    _stream_tls(settings, probe, to, "grpc")


_STREAMS = {"tcp": _tcp, "icmp": _icmp, "dns": _dns, "grpc": _grpc}

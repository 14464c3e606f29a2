"""The blackbox exporter's `modules`, alone as templates or with targets as monitors.

Fields: https://github.com/prometheus/blackbox_exporter/blob/master/CONFIGURATION.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mainstay.foreign.importing.blackbox_http import put_http
from mainstay.foreign.importing.blackbox_streams import STREAMS, Probe, mail_kind, put_mail
from mainstay.foreign.importing.draft import Draft, fitting_name
from mainstay.foreign.importing.requests import put_url, shortened
from mainstay.foreign.importing.source import Node, bounded, carry, leave
from mainstay.foreign.importing.values import go_duration, is_address
from mainstay.kernel.errors import UserError

TEMPLATES = "x-modules"
_KINDS = {"http": "http", "tcp": "tcp", "dns": "dns", "icmp": "icmp", "grpc": "grpc"}


def _document(probe: Probe) -> dict[str, Any]:
    expect = {"expect": probe.expect} if probe.expect else {}
    return {probe.kind: shortened(probe.target, probe.main), **probe.more, **expect}


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
            draft.templates[name] = _document(probe)
            carry(module.get("prober"), f"{to}.{probe.kind}")
        for target in chosen.get(name, ()):
            add_probe(draft, module, target, module, [target])


def modules_of(root: Node) -> dict[str, Node]:
    root.expect("a configuration of the blackbox exporter", "modules")
    found = root.mapping("modules")
    modules = {module.key: module for module in found.fields()} if found is not None else {}
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
    draft.add("monitor", name, _document(probe), node)
    return to


def read_module(module: Node, target: str, node: Node | None, draft: Draft, named: tuple[str, str]) -> Probe | str:
    """The parts of a monitor; why there are none, if that is so. `named`: its name and its path."""
    prober = module.text("prober")
    if prober not in _KINDS:
        return f"Mainstay has no check for the prober `{prober[:40]}`"
    if prober == "dns" and target and not is_address(target):
        return "a resolver must be given by its address, and this is a name"
    kind = mail_kind(module) or _KINDS[prober]
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
    elif prober != kind:
        put_mail(draft, settings, target, probe, to)
    else:
        STREAMS[kind](draft, settings, target, probe, to)
    _family(settings, probe, to)
    for other in _KINDS:
        if other != prober:
            leave(module, f"modules of the prober {prober} do not use it", other)
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


def _family(settings: Node, probe: Probe, to: str) -> None:
    preferred, fallback = settings.get("preferred_ip_protocol"), settings.get("ip_protocol_fallback")
    strict = fallback is not None and not fallback.is_on
    version = {"ip4": 4, "ip6": 6}.get(preferred.as_text() if preferred is not None else "")
    if strict and probe.kind in ("http", "grpc"):
        probe.target["ip_version"] = version or 6
        carry(preferred, f"{to}.{probe.kind}.ip_version")
        carry(fallback, f"{to}.{probe.kind}.ip_version")
        return
    why = "addresses are tried in the resolver's order, both IP versions"
    for node in (preferred, fallback):
        if node is not None and (strict or node is preferred):
            node.approximated(f"{to}.{probe.kind}", why)
        carry(node, f"{to}.{probe.kind}")

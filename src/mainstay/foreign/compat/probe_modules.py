"""Modules of `/probe`: the built-in ones, and those of a blackbox exporter's own file.

The file is read at start and whenever it, or a file that it names, changes. A mistake costs the module that it
is in; a file that cannot be read at all leaves what was known before.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog
import yaml

from mainstay.foreign.compat.probe_fields import Fields, Reading
from mainstay.foreign.compat.probe_kinds import PROBERS, addresses
from mainstay.integrations.checks.http.credentials import is_secret_name, without_userinfo
from mainstay.kernel.diagnostics import Diagnostics, did_you_mean
from mainstay.kernel.masking import MASK
from mainstay.store.resources.documents import LIMIT_BYTES, Document, decode, read_text
from mainstay.store.resources.scalars import noun

log = structlog.get_logger("probe")

_SECRET = "<secret>"  # as the exporter shows it  # noqa: S105
_SECRETS = {"password", "bearer_token", "credentials", "client_secret", "key"}


@dataclass(frozen=True, slots=True)
class Module:
    """One way to probe: the kind of check, and what is fixed of its target and expectations."""

    kind: str
    fills: str  # the field that the target fills
    target: Mapping[str, Any] = field(default_factory=dict)
    expect: Mapping[str, Any] = field(default_factory=dict)
    timeout: float = 0.0  # seconds at most; 0: the scrape's own
    addresses: Mapping[str, Any] | None = None  # which version of IP is preferred
    secrets: tuple[str, ...] = ()
    written: str = ""  # as the file has it, without secrets
    problem: str = ""  # why it cannot be used

    def options(self, target: str, hostname: str = "") -> dict[str, Any]:
        document = dict(self.target) | {self.fills: target}
        if self.kind == "http":
            if "://" not in target:
                document["url"] = f"http://{target}"
            if hostname:
                document["headers"] = {**document.get("headers", {}), "Host": hostname}
            if self.addresses and not self.addresses["fallback"]:  # an address in the URL is looked at as well
                document["ip_version"] = self.addresses["prefer"]
        elif self.kind == "tcp" and hostname:
            document.setdefault("server_name", hostname)
        elif self.kind == "grpc":
            document["address"] = _endpoint(target, secured=bool(document.get("tls")))
        # `detail` asks for response headers that a scheduled check does not keep.
        options = {"target": document, "expect": dict(self.expect), "detail": True}
        return options | ({"addresses": dict(self.addresses)} if self.addresses else {})

    def contradicts(self, hostname: str) -> str:
        """The module's own header Host, if the question asks for another one."""
        headers = self.target.get("headers") or {}
        own = next((value for name, value in headers.items() if name.lower() == "host"), "")
        return own if self.kind == "http" and hostname and own and own != hostname else ""

    def describe(self) -> str:
        """The module as one would write it, for the page that explains a probe."""
        if self.written:
            return self.written
        shown = {"prober": self.kind, **({"target": dict(self.target)} if self.target else {})}
        if self.expect:
            shown["expect"] = dict(self.expect)
        return json.dumps(shown, indent=2, ensure_ascii=False)


def _endpoint(target: str, *, secured: bool) -> str:
    """`host:port` of a gRPC target, which may be written as a URL and without its port."""
    bare = target.partition("://")[2].partition("/")[0] if "://" in target else target
    named = bare.rpartition(":")[2].isdigit() and not (bare.count(":") > 1 and not bare.startswith("["))
    host = f"[{bare}]" if bare.count(":") > 1 and not bare.startswith("[") else bare
    return bare if named else f"{host}:{443 if secured else 80}"


MODULES: dict[str, Module] = {
    "http_2xx": Module("http", "url"),
    "http_post_2xx": Module("http", "url", {"method": "POST"}),
    "http_2xx_insecure": Module("http", "url", {"tls": {"verify": False}}),
    "tcp_connect": Module("tcp", "address"),
    "tls_connect": Module("tcp", "address", {"tls": True}),
    "pop3s_banner": Module("tcp", "address", {"tls": True}, {"regex": r"(?m)^\+OK"}),
    "ssh_banner": Module("tcp", "address", {"send": "SSH-2.0-blackbox-ssh-check\n"}, {"regex": r"(?m)^SSH-2\.0-"}),
    "dns_udp": Module("dns", "resolver", {"name": ".", "type": "NS"}),
    "dns_tcp": Module("dns", "resolver", {"name": ".", "type": "NS", "protocol": "tcp"}),
    "dns_soa": Module("dns", "resolver", {"name": ".", "type": "SOA"}),
    "icmp": Module("icmp", "host", {"count": 1}),
    "grpc": Module("grpc", "address", {"tls": True}),
    "grpc_plain": Module("grpc", "address", {"tls": False}),
}


@dataclass(frozen=True, slots=True)
class Read:
    """What a file says. `modules` is None where it cannot be read."""

    modules: dict[str, Module] | None
    diagnostics: Diagnostics
    files: frozenset[Path]


def read_modules(path: Path) -> Read:
    """Every module of the file, those with mistakes too: they say why they cannot be used. Never raises for a file."""
    diagnostics = Diagnostics()
    document = _read_document(path, diagnostics)
    if document is None:
        return Read(None, diagnostics, frozenset({path}))
    for name in document.data:
        if name != "modules":
            hint = did_you_mean(name, ["modules"])
            diagnostics.add(f"there is no field `{name[:60]}` here", document.place((name,), key=True), hint=hint)
    written = document.data.get("modules") or {}
    if not isinstance(written, dict):
        diagnostics.add(f"`modules` must be a mapping, not {noun(written)}", document.place(("modules",)))
        return Read(None, diagnostics, frozenset({path}))
    modules, files = {}, {path}
    for name, data in written.items():
        reading = Reading(document, path.parent)
        modules[name] = _read_module(reading, name, data)
        diagnostics.extend(reading.diagnostics)
        files |= reading.files
    return Read(modules, diagnostics, frozenset(files))


def _read_document(path: Path, diagnostics: Diagnostics) -> Document | None:
    file = str(path)
    try:
        with path.open("rb") as handle:
            raw = handle.read(LIMIT_BYTES + 1)
    except OSError as error:
        diagnostics.add(f"{path} cannot be read: {error.strerror}")
        return None
    text = decode(raw, file, diagnostics)
    documents = read_text(text, file, diagnostics) if text is not None else []
    if diagnostics.errors:
        return None
    if len(documents) != 1 or not isinstance(documents[0].data, dict):
        what = "is empty" if not documents else "must be one mapping with `modules:`"
        diagnostics.add(f"the file {what}", documents[-1].place() if documents else Document(file).place())
        return None
    return documents[0]


def _read_module(reading: Reading, name: str, data: Any) -> Module:
    fields = Fields(reading, ("modules", name), data if isinstance(data, dict) else {})
    prober, timeout = fields.text("prober"), fields.seconds("timeout")
    if not isinstance(data, dict):
        fields.mistake(f"the module `{name[:60]}` must be a mapping, not {noun(data)}")
    elif prober not in PROBERS:
        known = ", ".join(PROBERS)
        fields.mistake(
            f"`prober` is one of {known}, not `{prober[:40]}`" if prober else "`prober` is missing", "prober"
        )
    if prober not in PROBERS:
        return Module("", "", problem=reading.diagnostics.summary())
    inner = fields.within(prober)
    prefer = addresses(inner)
    meant = PROBERS[prober](inner)
    inner.finish()
    for other in PROBERS:
        if other != prober and fields.take(other):
            fields.mistake(f"`{other}` has no effect: the prober is {prober}", other, warning=True)
    fields.finish()
    return Module(
        prober,
        *meant,
        timeout=timeout,
        addresses=prefer,
        secrets=tuple(secret for secret in reading.secrets if secret),
        written=yaml.safe_dump(_without_secrets(data), sort_keys=False, allow_unicode=True).rstrip("\n"),
        problem=reading.diagnostics.summary() if reading.diagnostics.errors else "",
    )


def _without_secrets(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: _without_secrets(inner, key) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_secrets(inner) for inner in value]
    if isinstance(value, str) and name:
        if name in _SECRETS or (is_secret_name(name) and not name.endswith("_file")):
            return _SECRET
        if name == "proxy_url":
            bare = without_userinfo(value)
            return value if bare == value else bare.replace("://", f"://{MASK}@", 1)
    return value


class Modules:
    """The modules that stand, kept in step with the file."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._files: frozenset[Path] = frozenset({path} if path else ())
        self._seen: dict[Path, Any] | None = None  # as they were when they were read
        self._last: dict[Path, Any] | None = None  # as they were a turn ago
        self.known: dict[str, Module] = dict(MODULES)
        self.problem = ""

    async def turn(self) -> None:
        """Read the file if it, or what it names, has changed and has been the same for a turn since."""
        if self._path is None:
            return
        stamps = await asyncio.to_thread(_stamps, self._files)
        if stamps != self._seen and (self._seen is None or stamps == self._last):
            await self._take(self._path)
            # Known files as they were before reading, so that a change in between is not missed.
            now = await asyncio.to_thread(_stamps, self._files)
            stamps = self._seen = {path: stamps.get(path, now[path]) for path in now}
        self._last = stamps

    async def _take(self, path: Path) -> None:
        found = await asyncio.to_thread(read_modules, path)
        for diagnostic in found.diagnostics:
            tell = log.error if diagnostic.severity == "error" else log.warning
            tell(
                "blackbox modules are invalid",
                where=str(diagnostic.place),
                problem=diagnostic.message,
                hint=diagnostic.hint,
            )
        self.problem = found.diagnostics.summary() if found.diagnostics.errors else ""
        if found.modules is None:
            return
        self._files = found.files
        self.known = {**MODULES, **found.modules}
        log.info("blackbox modules read", file=str(path), modules=len(found.modules))

    async def health(self) -> str:
        return self.problem or "ok"


def _stamps(files: frozenset[Path]) -> dict[Path, Any]:
    found: dict[Path, Any] = {}
    for path in files:
        try:
            status = path.stat()
            found[path] = (status.st_mtime_ns, status.st_size, status.st_ino)
        except OSError:
            found[path] = None
    return found

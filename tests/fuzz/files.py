"""Files that people bring: those of other tools, modules of an exporter, seals, snapshots."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import tarfile
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from tests.fuzz.fuzzing import Target

# Small, because YAML is slow to read.
_YAML = {
    "gatus": [
        (
            b"endpoints:\n  - name: a\n    group: g\n    url: https://e.org/x\n    interval: 30s\n    conditions:\n"
            b'      - "[STATUS] == 200"\n      - "[BODY].a == pat(*x*)"\n      - "len([BODY]) > 1"\n'
            b"    headers: {Authorization: secret}\n    alerts: [{type: slack, failure-threshold: 2}]\n"
            b"    client: {timeout: 5s, insecure: true}\nalerting:\n  slack: {webhook-url: https://hooks.e.org/x}\n"
        ),
        (
            b"endpoints:\n  - {name: d, url: 8.8.8.8, dns: {query-name: e.org, query-type: MX},\n"
            b'     conditions: ["[BODY] == x"]}\n'
            b"  - {name: t, url: 'tcp://e.org:53', conditions: ['[CONNECTED] == true', '[RESPONSE_TIME] < 500']}\n"
            b"external-endpoints:\n  - {name: e, token: x, heartbeat: {interval: 1m}}\n"
            b"maintenance: {start: '02:00', duration: 1h, every: [Monday], timezone: UTC}\n"
        ),
    ],
    "blackbox": [
        (
            b"modules:\n  m:\n    prober: http\n    timeout: 5s\n    http:\n      valid_status_codes: [200]\n"
            b"      fail_if_body_matches_regexp: ['(?i)x']\n      basic_auth: {username: u, password: s}\n"
            b"      tls_config: {ca_file: /x, insecure_skip_verify: true}\n      headers: {X: y}\n"
        ),
        b"modules:\n  m: {prober: tcp, tcp: {query_response: [{expect: '^SSH'}, {send: a}, {starttls: true}]}}\n",
        b"modules:\n  m: {prober: dns, dns: {query_name: e.org, query_type: A, valid_rcodes: [NOERROR]}}\n",
        b"modules:\n  m: {prober: icmp, icmp: {ttl: 64, preferred_ip_protocol: ip4}}\n",
    ],
    "prometheus": [
        (
            b"global: {scrape_interval: 1m}\nscrape_configs:\n  - job_name: j\n    metrics_path: /probe\n"
            b"    params: {module: [http_2xx]}\n    static_configs:\n"
            b"      - {targets: ['https://u:p@e.org/x?token=y'], labels: {a: b}}\n"
            b"    relabel_configs: [{source_labels: [__address__], target_label: __param_target}]\n"
        ),
    ],
}


@cache
def _kinds() -> frozenset[str]:
    """Imports look kinds up, as the command does."""
    from mainstay.foreign.commands import _register

    return _register()


@cache
def _place() -> Path:
    """A file for parsers that want one, in memory where there is such a folder."""
    shared = Path("/dev/shm")
    folder = tempfile.mkdtemp(prefix="mainstay-fuzz-", dir=shared if shared.is_dir() else None)
    return Path(folder) / f"file-{os.getpid()}"


def _import(read: Callable[[str], Any], fill: Callable[..., object]) -> Callable[[bytes], None]:
    """Read a file and make a draft of it: either its mistakes are told, or what comes of it can be declared."""
    from mainstay.foreign.importing.draft import Draft
    from mainstay.kernel.diagnostics import Diagnostics
    from mainstay.store.resources.declarations import declared
    from mainstay.store.resources.documents import read_text
    from mainstay.store.resources.export import to_yaml

    def run(raw: bytes) -> None:
        kinds = _kinds()
        path = _place()
        path.write_bytes(raw)
        node = read(str(path))
        draft = Draft(node.report, "fuzz", kinds)
        fill(node, draft)
        node.report.diagnostics.raise_if_errors()
        diagnostics = Diagnostics()
        document = draft.finish()
        declared(read_text(to_yaml(document) if document else "{}", "out", diagnostics), "file", diagnostics)
        assert not diagnostics.errors, [str(error) for error in diagnostics.errors]
        list(node.report.to_json())

    return run


def imports() -> list[Target]:
    from mainstay.foreign.importing.blackbox import import_blackbox
    from mainstay.foreign.importing.gatus import import_gatus
    from mainstay.foreign.importing.kuma import import_kuma
    from mainstay.foreign.importing.kuma_history import read_days
    from mainstay.foreign.importing.kuma_source import read_kuma
    from mainstay.foreign.importing.prometheus import import_prometheus
    from mainstay.foreign.importing.source import read_yaml
    from mainstay.foreign.importing.uptimerobot import import_uptimerobot, read_uptimerobot
    from mainstay.kernel.errors import MainstayError

    kuma = {
        "version": "1.23",
        "monitorList": [
            {"id": 1, "name": "m", "type": "http", "url": "https://u:p@e.org", "interval": 60, "maxretries": 2,
             "headers": '{"X": "y"}', "accepted_statuscodes": ["200-299"], "notificationIDList": {"1": True}},
            {"id": 2, "name": "d", "type": "dns", "hostname": "e.org", "dns_resolve_type": "A", "parent": 1},
        ],
        "notificationList": [{"id": 1, "name": "n", "config": '{"type": "slack", "slackwebhookURL": "https://x"}'}],
    }  # fmt: skip
    robot = {"stat": "ok", "monitors": [{"id": 1, "friendly_name": "x", "url": "https://e.org", "type": 1}]}
    history = b'{"kind": "x"}\n{"a": 1}\n'
    yaml = {
        "gatus": import_gatus,
        "blackbox": lambda node, draft: import_blackbox(node, draft, ["https://example.com"]),
        "prometheus": import_prometheus,
    }
    return [
        *(
            Target(
                f"files of {name}",
                _import(lambda path, name=name: read_yaml(name, path), fill),  # type: ignore[misc] # bound now
                _YAML[name],
                (MainstayError,),
            )
            for name, fill in yaml.items()
        ),
        Target("files of kuma", _import(read_kuma, import_kuma), [json.dumps(kuma).encode()], (MainstayError,)),
        Target(
            "files of uptimerobot",
            _import(read_uptimerobot, import_uptimerobot),
            [json.dumps(robot).encode(), json.dumps([robot["monitors"]]).encode()],
            (MainstayError,),
        ),
        Target(
            "history of kuma", _with_file(lambda path: list(read_days(str(path)))), [history, b"\xff"], (MainstayError,)
        ),
    ]


def _with_file(read: Callable[[Path], object]) -> Callable[[bytes], None]:
    def run(raw: bytes) -> None:
        path = _place()
        path.write_bytes(raw)
        read(path)

    return run


def kept_files() -> list[Target]:
    from mainstay.foreign.compat.probe_modules import read_modules
    from mainstay.kernel.errors import MainstayError
    from mainstay.store import vault_keys
    from mainstay.store.seals.documents import read_seal
    from mainstay.store.snapshots.archive import read
    from mainstay.store.snapshots.manifest import decode
    from mainstay.store.snapshots.retention import parse_keep
    from mainstay.store.snapshots.versions import _parsed

    def modules(path: Path) -> None:
        for module in (read_modules(path).modules or {}).values():
            module.options("http://example.com", "")

    def keys(raw: bytes) -> None:
        from mainstay.kernel.settings import Settings

        path = _place()
        path.write_bytes(raw)
        vault_keys.ciphers(Settings.of({"data": path.parent, "vault_key": f"file:{path}"}))

    manifest, snapshot = _snapshot()
    key = base64.urlsafe_b64encode(bytes(32))
    return [
        Target("modules of an exporter", _with_file(modules), _YAML["blackbox"], ()),
        Target("seals", read_seal, [_seal()], (MainstayError,)),
        Target("manifests", decode, [manifest], (MainstayError,)),
        Target("snapshots", lambda raw: read(io.BytesIO(raw), "", None), [snapshot], (MainstayError,), 8_000),
        Target("versions of data", _parsed, ['{"program": "1.0", "tables": 1}', "1"], (MainstayError,)),
        Target("what is kept of snapshots", parse_keep, ["7d,4w", "1h,12m,3y"], (MainstayError,)),
        Target("keys of the vault", keys, [key + b"\n", key + b"\n" + key + b"\n\n"], (MainstayError,)),
    ]


def _seal() -> str:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from mainstay.store.proof import canonical

    private = Ed25519PrivateKey.from_private_bytes(bytes(32))
    key = base64.b64encode(private.public_key().public_bytes_raw()).decode()
    document: dict[str, Any] = {"version": 1, "install": "0" * 8, "seq": 5, "hash": "f" * 64, "at": "x", "key": key}
    document["signature"] = base64.b64encode(private.sign(canonical(document).encode())).decode()
    return json.dumps(document)


def _snapshot() -> tuple[bytes, bytes]:
    """A manifest and a whole snapshot of one small part, as `read` takes it."""
    from mainstay.store.snapshots import archive
    from mainstay.store.snapshots import manifest as room

    part = b"hello"
    digest = hashlib.sha256(part).hexdigest()
    manifest = room.Manifest(
        format=room.FORMAT,
        program="1.0",
        taken_at=1.8e9,
        install="0" * 8,
        state="rows",
        migrations=[("store", "0001")],
        journal_seq=1,
        journal_hash="f" * 64,
        counts={"journal": 1},
        parts=[room.Part(name="a", size=len(part), sha256=digest)],
    )
    document = room.encode(manifest)
    return document, _tar({archive.MANIFEST: document, "a": part, archive.SUMS: _sums(document, digest)})


def _sums(document: bytes, digest: str) -> bytes:
    return f"{hashlib.sha256(document).hexdigest()}  manifest.json\n{digest}  a\n".encode()


def _tar(files: dict[str, bytes]) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return target.getvalue()

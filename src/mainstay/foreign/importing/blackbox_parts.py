"""What the parts of a module of the blackbox exporter share: patterns of Go, sizes, options of TLS."""

from __future__ import annotations

import re
from typing import Any

from mainstay.foreign.importing.draft import Draft
from mainstay.foreign.importing.requests import KEPT_OUTSIDE
from mainstay.foreign.importing.source import Node, leave
from mainstay.kernel.patterns import BadPattern, check_pattern

IN_A_FOLDER = "the file must be in a folder for secrets, MAINSTAY_SECRET_DIRS"
NO_SOURCE = "the system chooses the source address"
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGTPE]?)i?B?", re.IGNORECASE)
_VERSIONS = {"TLS12": "1.2", "TLS13": "1.3"}


def pattern_of(node: Node, to: str) -> str | None:
    """A regular expression of Go, which means the same here; None, and told, if it is none or too large."""
    try:
        found = check_pattern(node.as_text())
    except BadPattern as error:
        node.left(str(error))
        return None
    node.carried(to)
    return found


def patterns_of(node: Node | None, to: str) -> list[str]:
    """One pattern or a list of them."""
    if node is None:
        return []
    if not isinstance(node.value, list):
        listed = [node]
    else:
        listed = [Node(value, (*node.path, index), node.report) for index, value in enumerate(node.value)]
    return [pattern for one in listed if (pattern := pattern_of(one, to)) is not None]


def bytes_of(node: Node) -> int:
    """Bytes of `10MB`, counted in powers of 1024 as the exporter does; 0 means no limit."""
    found = _SIZE.fullmatch(node.as_text().strip())
    if found is None:
        node.mistake(f"`{node.as_text()[:40]}` is not a size such as 10MB")
        return 0
    return int(float(found[1]) * 1024 ** " KMGTPE".index(found[2].upper() or " "))


def put_tls(draft: Draft, node: Node, tls: dict[str, Any], to: str, what: str) -> None:
    """`tls_config` as options of TLS; which of them a check takes, its importer knows."""
    if (skip := node.get("insecure_skip_verify")) is not None:
        tls |= {"verify": False} if skip.is_on else {}
        skip.carried(f"{to}.verify")
    for theirs, ours in (("ca", "ca"), ("cert", "certificate"), ("key", "key")):
        inline, file = node.get(theirs), node.get(f"{theirs}_file")
        if inline is not None:
            tls[ours] = draft.secret(inline, f"{what}_key") if ours == "key" else inline.as_text()
            inline.carried(f"{to}.{ours}", KEPT_OUTSIDE if ours == "key" else "")
        elif file is not None:
            tls[ours] = f"${{file:{file.as_text()}}}"
            file.approximated(f"{to}.{ours}", IN_A_FOLDER)
    if (name := node.get("server_name")) is not None:
        tls |= {"server_name": name.as_text()} if name.as_text() else {}
        name.carried(f"{to}.server_name")
    for bound in ("min_version", "max_version"):
        if (version := node.get(bound)) is not None:
            _put_version(version, tls, bound, to)
    leave(node, "references to other secret stores are not supported", "ca_ref", "cert_ref", "key_ref")


def _put_version(version: Node, tls: dict[str, Any], bound: str, to: str) -> None:
    known = _VERSIONS.get(version.as_text())
    if known:
        tls[bound] = known
        version.carried(f"{to}.{bound}")
    elif bound == "min_version":
        version.approximated(f"{to}.{bound}", "1.2 is the oldest version supported")
    else:
        version.left("1.2 is the oldest version supported")


def file_reference(node: Node, to: str) -> str:
    """A file that the exporter reads, as a reference."""
    node.approximated(to, IN_A_FOLDER)
    return f"${{file:{node.as_text()}}}"

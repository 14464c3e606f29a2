"""HTTP requests of other tools as the target of an `http` monitor, with their credentials as references."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

from mainstay.foreign.importing.draft import Draft, holds_secret, is_secret_name
from mainstay.foreign.importing.source import Node

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_QUERY = re.compile(r"(?<=[?&])([^=&#]+)=([^&#]+)")
_SCHEME = re.compile(r"^[a-z0-9+.-]+://", re.IGNORECASE)
KEPT_OUTSIDE = "the value is kept outside the file, see `secrets`"


def put_url(draft: Draft, node: Node, target: dict[str, Any], to: str, what: str) -> None:
    """The URL into `url`; a user and password become `auth`, parameters that hold credentials references."""
    url = node.as_text().strip()
    url, user = split_user(url)
    if user:
        name, colon, password = user.partition(":")
        if colon and password:
            basic = {
                "username": unquote(name),
                "password": draft.secret(
                    node, f"{what}_password", "the password in the URL, percent signs decoded", unquote(password)
                ),
            }
            target["auth"] = {"basic": basic}
        else:
            url = _with_user(url, draft.secret(node, f"{what}_user", "the user in the URL", user))
        node.carried(f"{to}.auth", KEPT_OUTSIDE)

    def reference(found: re.Match[str]) -> str:
        if not is_secret_name(unquote(found[1])) or found[2].startswith("${"):
            return found[0]
        node.carried(f"{to}.url", KEPT_OUTSIDE)
        how = f"the value of the parameter `{found[1]}` in the URL"
        return f"{found[1]}={draft.secret(node, f'{what}_{found[1]}', how, found[2])}"

    target["url"] = _QUERY.sub(reference, url)
    node.carried(f"{to}.url")


def split_user(url: str) -> tuple[str, str]:
    """(URL without user and password, these)."""
    scheme = _SCHEME.match(url)
    start = scheme.end() if scheme else 0
    authority = re.split(r"[/?#]", url[start:], maxsplit=1)[0]
    user, at, host = authority.rpartition("@")
    return (url[:start] + host + url[start + len(authority) :], user) if at else (url, "")


def _with_user(url: str, user: str) -> str:
    scheme = _SCHEME.match(url)
    start = scheme.end() if scheme else 0
    return f"{url[:start]}{user}@{url[start:]}"


def put_method(node: Node, target: dict[str, Any], to: str) -> None:
    method = node.as_text().strip().upper()
    if method not in METHODS:
        node.left(f"Mainstay sends {', '.join(METHODS)} only")
        return
    if method != "GET":
        target["method"] = method
    node.carried(f"{to}.method")


def put_headers(draft: Draft, node: Node, target: dict[str, Any], to: str, what: str) -> None:
    """A mapping of headers; those that hold credentials as references."""
    for header in node.fields():
        value = header.as_text()
        if is_secret_name(header.key) and not value.startswith("${env:"):
            value = draft.secret(header, f"{what}_{header.key}", f"the value of the header {header.key}")
            header.carried(f"{to}.headers.{header.key}", KEPT_OUTSIDE)
        else:
            header.carried(f"{to}.headers.{header.key}")
        target.setdefault("headers", {})[header.key] = value


def put_body(draft: Draft, node: Node, target: dict[str, Any], to: str, what: str) -> None:
    body = node.as_text()
    if not body:
        node.carried(f"{to}.body")
    elif holds_secret(body) and not body.startswith("${env:"):
        target["body"] = draft.secret(node, f"{what}_body", "the whole body, which seems to hold a credential")
        node.carried(f"{to}.body", KEPT_OUTSIDE)
    else:
        target["body"] = body
        node.carried(f"{to}.body")


def shortened(target: dict[str, Any], main: str) -> Any:
    """A target that says nothing but its main field is written as that field alone."""
    return target[main] if target.keys() == {main} else target

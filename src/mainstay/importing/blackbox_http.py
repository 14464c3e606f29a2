"""The `http` part of a module of the blackbox exporter."""

from __future__ import annotations

import re
from typing import Any

from mainstay.importing.draft import Draft
from mainstay.importing.requests import KEPT_OUTSIDE, put_body, put_headers, put_method
from mainstay.importing.source import Node, carry, leave
from mainstay.importing.values import all_of, written_statuses

IN_A_FOLDER = "the file must stand in a folder for secrets, MAINSTAY_SECRET_DIRS"
_INLINE_FLAGS = re.compile(r"\(\?([ims]+)\)(.*)", re.DOTALL)
_LEFT = {
    "oauth2": "Mainstay does not fetch OAuth2 tokens",
    "no_proxy": "the proxy is used for every address of the monitor",
    "proxy_from_environment": "write the proxy into the file",
    "proxy_connect_header": "a proxy gets no headers of its own",
    "use_proxy_dns": "a socks5h:// proxy looks names up, others do as they like",
    "skip_resolve_phase_with_proxy": "a socks5h:// proxy looks names up, others do as they like",
    "fail_if_body_json_matches_cel": "expressions in CEL are not read; expect JSON paths",
    "fail_if_body_json_not_matches_cel": "expressions in CEL are not read; expect JSON paths",
    "source_ip_address": "the address to send from is chosen by the system",
}


def pattern_of(node: Node) -> str:
    """A regular expression of Go for Python, whose flags stand at the very beginning or in a group of their own."""
    written = node.as_text()
    found = _INLINE_FLAGS.fullmatch(written)
    return f"(?{found[1]}:{found[2]})" if found else written


def put_http(draft: Draft, node: Node, target: dict[str, Any], expect: dict[str, Any], named: tuple[str, str]) -> None:
    """Everything but the URL, into `target` and `expect` of a monitor; `named`: its name and its path."""
    what, to = named
    http = f"{to}.http"
    if (method := node.get("method")) is not None:
        put_method(method, target, http)
    if (headers := node.mapping("headers")) is not None:
        put_headers(draft, headers, target, http, what)
    if (body := node.get("body")) is not None:
        put_body(draft, body, target, http, what)
    if (file := node.get("body_file")) is not None:
        target["body"] = f"${{file:{file.as_text()}}}"
        file.approximated(f"{http}.body", IN_A_FOLDER)
    _redirects(node, target, expect, to)
    _statuses(node, expect, to)
    _bodies(node, expect, to)
    _headers(node, expect, to)
    _credentials(draft, node, target, http, what)
    if (tls := node.mapping("tls_config")) is not None:
        put_tls(tls, target.setdefault("tls", {}), f"{http}.tls")
    _transport(draft, node, target, to, what)
    for key, why in _LEFT.items():
        leave(node, why, key)


def _redirects(node: Node, target: dict[str, Any], expect: dict[str, Any], to: str) -> None:
    ignored, followed = node.get("no_follow_redirects"), node.get("follow_redirects")
    if (ignored is not None and ignored.is_on) or (followed is not None and not followed.is_on):
        target["redirects"] = {"follow": False}
        expect["status"] = "200-299"  # ours takes 200-399 then
    carry(ignored, f"{to}.http.redirects.follow")
    carry(followed, f"{to}.http.redirects.follow")


def _statuses(node: Node, expect: dict[str, Any], to: str) -> None:
    codes, versions = node.get("valid_status_codes"), node.get("valid_http_versions")
    if codes is not None and isinstance(codes.value, list) and codes.value:
        wanted = [code for code in codes.value if isinstance(code, int) and 100 <= code <= 599]
        if len(wanted) < len(codes.value):
            codes.mistake("`valid_status_codes` must be a list of numbers from 100 to 599")
        written = written_statuses(wanted)
        expect["status"] = written[0] if len(written) == 1 else written
    carry(codes, f"{to}.expect.status")
    if versions is not None and isinstance(versions.value, list):
        known = {"HTTP/1.0": "1.0", "HTTP/1.1": "1.1", "HTTP/2.0": "2", "HTTP/2": "2"}
        spoken = [known[str(version)] for version in versions.value if str(version) in known]
        if len(spoken) == 1:
            expect["protocol"] = spoken[0]
            versions.carried(f"{to}.expect.protocol")
        else:
            versions.left("one version can be expected, or any")


def _bodies(node: Node, expect: dict[str, Any], to: str) -> None:
    """Each pattern of `matches` must be absent, each of `not_matches` present."""
    patterns = [rf"\A(?![\s\S]*(?:{pattern}))" for pattern in _patterns(node, "fail_if_body_matches_regexp", to)]
    present = _patterns(node, "fail_if_body_not_matches_regexp", to)
    if len(present) == 1 and not patterns:
        expect["regex"] = present[0]
        return
    patterns += [rf"\A[\s\S]*(?:{pattern})" for pattern in present]
    if patterns:
        expect["regex"] = all_of(patterns)


def _patterns(node: Node, key: str, to: str) -> list[str]:
    found = node.get(key)
    if found is None:
        return []
    found.carried(f"{to}.expect.regex")
    listed = found.value if isinstance(found.value, list) else [found.value]
    return [pattern_of(Node(one, (*found.path, index), found.report)) for index, one in enumerate(listed)]


def _headers(node: Node, expect: dict[str, Any], to: str) -> None:
    for key, form in (("fail_if_header_matches", r"\A(?![\s\S]*(?:{}))"), ("fail_if_header_not_matches", "{}")):
        for entry in node.entries(key, f"{key}_regexp"):
            name, pattern = entry.text("header"), entry.get("regexp")
            where = f"{to}.expect.headers.{name}"
            if pattern is None or not name or name in expect.get("headers", {}):
                entry.left("a header has one expectation")
                continue
            missing = entry.get("allow_missing")
            if missing is not None and missing.is_on:
                entry.left("a header that is expected must be there")
                continue
            expect.setdefault("headers", {})[name] = f"/{form.format(pattern_of(pattern))}/"
            for one in (entry.get("header"), pattern, missing):
                carry(one, where)


def _credentials(draft: Draft, node: Node, target: dict[str, Any], to: str, what: str) -> None:
    if "auth" in target:
        leave(node, "the URL of the target brings its own", "basic_auth", "authorization", "bearer_token",
              "bearer_token_file")  # fmt: skip
        return
    basic, bearer = node.mapping("basic_auth"), node.mapping("authorization")
    if basic is not None:
        target["auth"] = {"basic": {"username": basic.text("username")} | _password(draft, basic, "password", what)}
        carry(basic.get("username", "username_file"), f"{to}.auth.basic.username")
        carry(basic.get("password"), f"{to}.auth.basic.password")
        carry(basic.get("password_file"), f"{to}.auth.basic.password")
    elif bearer is not None and bearer.text("type") in ("", "Bearer"):
        found = _password(draft, bearer, "credentials", what)
        if found:
            target["auth"] = {"bearer": found["password"]}
        for one in bearer.fields():
            one.carried(f"{to}.auth.bearer", KEPT_OUTSIDE)
    elif node.get("bearer_token", "bearer_token_file") is not None:
        target["auth"] = {"bearer": _password(draft, node, "bearer_token", what)["password"]}
        carry(node.get("bearer_token"), f"{to}.auth.bearer")
        carry(node.get("bearer_token_file"), f"{to}.auth.bearer")


def _password(draft: Draft, node: Node, key: str, what: str) -> dict[str, str]:
    secret, file = node.get(key), node.get(f"{key}_file")
    if secret is not None:
        return {"password": draft.secret(secret, f"{what}_{key}")}
    return {"password": f"${{file:{file.as_text()}}}"} if file is not None else {}


def put_tls(node: Node, tls: dict[str, Any], to: str) -> None:
    """`tls_config` as the options of an HTTP target."""
    if (skip := node.get("insecure_skip_verify")) is not None:
        tls |= {"verify": False} if skip.is_on else {}
        skip.carried(f"{to}.verify")
    for theirs, ours in (("ca_file", "ca"), ("cert_file", "certificate"), ("key_file", "key")):
        if (file := node.get(theirs)) is not None:
            tls[ours] = f"${{file:{file.as_text()}}}"
            file.approximated(f"{to}.{ours}", IN_A_FOLDER)
    if (name := node.get("server_name")) is not None:
        tls["server_name"] = name.as_text()
        name.carried(f"{to}.server_name")
    if (version := node.get("min_version")) is not None:
        known = {"TLS12": "1.2", "TLS13": "1.3"}.get(version.as_text())
        tls |= {"min_version": known} if known else {}
        if known:
            version.carried(f"{to}.min_version")
        else:
            version.approximated(f"{to}.min_version", "1.2 is the oldest version that is spoken")


def _transport(draft: Draft, node: Node, target: dict[str, Any], to: str, what: str) -> None:
    proxy, limit, compression = node.get("proxy_url"), node.get("body_size_limit"), node.get("compression")
    if proxy is not None:
        target["proxy"] = draft.secret(proxy, f"{what}_proxy") if "@" in proxy.as_text() else proxy.as_text()
        proxy.carried(f"{to}.http.proxy", KEPT_OUTSIDE if "@" in proxy.as_text() else "")
    if limit is not None:
        limit.left("Mainstay reads 10 MB of a body and cuts the rest off; see `max_read`")
    if compression is not None:
        target["compressed"] = True
        compression.approximated(f"{to}.http.compressed", "every method that libcurl knows is offered")
    if (http2 := node.get("enable_http2")) is not None:
        target |= {"http_version": "2"} if http2.is_on else {}
        http2.carried(f"{to}.http.http_version")

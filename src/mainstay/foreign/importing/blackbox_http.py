"""The `http` part of a module of the blackbox exporter."""

from __future__ import annotations

from typing import Any

from mainstay.foreign.importing.blackbox_parts import bytes_of, file_reference, pattern_of, patterns_of, put_tls
from mainstay.foreign.importing.draft import Draft, is_secret_name
from mainstay.foreign.importing.requests import KEPT_OUTSIDE, put_body, put_headers, put_method
from mainstay.foreign.importing.source import Node, carry, leave
from mainstay.foreign.importing.values import written_statuses

_SMALLEST_READ, _LARGEST_READ = 1024, 1024**3
_VERSIONS = {"HTTP/1.0": "1.0", "HTTP/1.1": "1.1", "HTTP/2.0": "2", "HTTP/2": "2"}
_COMPRESSIONS = ("gzip", "br", "deflate", "identity")
_LEFT = {
    "oauth2": "Mainstay does not fetch OAuth2 tokens",
    "no_proxy": "the proxy is used for every address of the monitor",
    "proxy_from_environment": "write the proxy into the file",
    "proxy_connect_header": "a proxy gets no headers of its own",
    "use_proxy_dns": "a socks5h:// proxy resolves names itself; others may",
    "enable_http3": "HTTP/3 is not supported",
    "fail_if_body_json_matches_cel": "CEL expressions are not supported; expect JSON paths",
    "fail_if_body_json_not_matches_cel": "CEL expressions are not supported; expect JSON paths",
    "source_ip_address": "the system chooses the source address",
}


def put_http(draft: Draft, node: Node, target: dict[str, Any], expect: dict[str, Any], named: tuple[str, str]) -> None:
    """Everything but the URL, into `target` and `expect` of a monitor; `named`: its name and its path."""
    what, to = named
    http = f"{to}.http"
    if (method := node.get("method")) is not None:
        put_method(method, target, http)
    if (headers := node.mapping("headers")) is not None:
        put_headers(draft, headers, target, http, what)
    _more_headers(draft, node, target, http, what)
    if (body := node.get("body")) is not None:
        put_body(draft, body, target, http, what)
    if (file := node.get("body_file")) is not None:
        target["body"] = file_reference(file, f"{http}.body")
    _redirects(node, target, expect, to)
    _statuses(node, expect, to)
    _versions(node, target, expect, to)
    _scheme(node, expect, to)
    _bodies(node, expect, to)
    _headers(node, expect, to)
    _credentials(draft, node, target, http, what)
    if (tls := node.mapping("tls_config")) is not None:
        put_tls(draft, tls, target.setdefault("tls", {}), f"{http}.tls", what)
    _transport(draft, node, target, expect, (what, to))
    for key, why in _LEFT.items():
        leave(node, why, key)


def _more_headers(draft: Draft, node: Node, target: dict[str, Any], to: str, what: str) -> None:
    """`http_headers`: each with values, secrets and files; ours has one value."""
    headers = node.mapping("http_headers")
    for header in headers.fields() if headers is not None else ():
        where = f"{to}.headers.{header.key}"
        given = [(kind, one) for kind in ("values", "secrets", "files") for one in _items(header.get(kind))]
        if len(given) != 1:
            header.left("a header has one value")
            continue
        kind, value = given[0]
        if kind == "files":
            written = file_reference(value, where)
        elif kind == "secrets" or is_secret_name(header.key):
            written = draft.secret(value, f"{what}_{header.key}", f"the value of the header {header.key}")
            value.carried(where, KEPT_OUTSIDE)
        else:
            written = value.as_text()
            value.carried(where)
        target.setdefault("headers", {})[header.key] = written


def _items(node: Node | None) -> list[Node]:
    if node is None:
        return []
    if not isinstance(node.value, list):
        return [node]
    return [Node(value, (*node.path, index), node.report) for index, value in enumerate(node.value)]


def _redirects(node: Node, target: dict[str, Any], expect: dict[str, Any], to: str) -> None:
    ignored, followed = node.get("no_follow_redirects"), node.get("follow_redirects")
    if (ignored is not None and ignored.is_on) or (followed is not None and not followed.is_on):
        target["redirects"] = {"follow": False}
        expect["status"] = "200-299"  # ours takes 200-399 then
    carry(ignored, f"{to}.http.redirects.follow")
    carry(followed, f"{to}.http.redirects.follow")


def _statuses(node: Node, expect: dict[str, Any], to: str) -> None:
    codes = node.get("valid_status_codes")
    if codes is not None and isinstance(codes.value, list) and codes.value:
        wanted = [code for code in codes.value if isinstance(code, int) and 100 <= code <= 599]
        if len(wanted) < len(codes.value):
            codes.mistake("`valid_status_codes` must be a list of numbers from 100 to 599")
        written = written_statuses(wanted)
        expect["status"] = written[0] if len(written) == 1 else written
    carry(codes, f"{to}.expect.status")


def _versions(node: Node, target: dict[str, Any], expect: dict[str, Any], to: str) -> None:
    """Expected versions, and HTTP/2 wherever the exporter would speak it and somebody asked about versions."""
    wanted, http2 = node.get("valid_http_versions"), node.get("enable_http2")
    spoken: list[str] = []
    for version in _items(wanted):
        known = _VERSIONS.get(version.as_text())
        if known is None:
            version.left(f"`{version.as_text()[:20]}` is not a supported version")
            continue
        version.carried(f"{to}.expect.protocol")
        spoken += [known] if known not in spoken else []
    if wanted is not None and not _items(wanted):
        wanted.carried(f"{to}.expect.protocol", "any version is accepted")
    if spoken:
        expect["protocol"] = spoken[0] if len(spoken) == 1 else spoken
    if http2.is_on if http2 is not None else "2" in spoken:
        target["http_version"] = "2"
    carry(http2, f"{to}.http.http_version")


def _scheme(node: Node, expect: dict[str, Any], to: str) -> None:
    plain, needed = node.get("fail_if_ssl"), node.get("fail_if_not_ssl")
    refused, wanted = plain is not None and plain.is_on, needed is not None and needed.is_on
    if needed is not None and refused and wanted:
        needed.mistake("`fail_if_ssl` and `fail_if_not_ssl` together reject everything")
    elif refused or wanted:
        expect["tls"] = wanted
    carry(plain, f"{to}.expect.tls")
    carry(needed, f"{to}.expect.tls")


def _bodies(node: Node, expect: dict[str, Any], to: str) -> None:
    """Each pattern of `matches` must be absent, each of `not_matches` present."""
    for theirs, ours in (("fail_if_body_matches_regexp", "not_regex"), ("fail_if_body_not_matches_regexp", "regex")):
        patterns = patterns_of(node.get(theirs), f"{to}.expect.{ours}")
        if patterns:
            expect[ours] = patterns[0] if len(patterns) == 1 else patterns


def _headers(node: Node, expect: dict[str, Any], to: str) -> None:
    for key, found in (("fail_if_header_matches", False), ("fail_if_header_not_matches", True)):
        for entry in node.entries(key, f"{key}_regexp"):
            name, pattern, missing = entry.get("header"), entry.get("regexp"), entry.get("allow_missing")
            if name is None or pattern is None:
                entry.mistake("an expectation of a header needs `header` and `regexp`")
                continue
            where = f"{to}.expect.header_patterns.{len(expect.get('header_patterns', ()))}"
            written = pattern_of(pattern, f"{where}.regex")
            if written is None:
                leave(entry, "its pattern is not imported", "header", "allow_missing")
                continue
            wanted: dict[str, Any] = {"name": name.as_text(), "regex": written}
            wanted |= {} if found else {"found": False}
            wanted |= {"optional": True} if missing is not None and missing.is_on else {}
            expect.setdefault("header_patterns", []).append(wanted)
            carry(name, f"{where}.name")
            carry(missing, f"{where}.optional")


def _credentials(draft: Draft, node: Node, target: dict[str, Any], to: str, what: str) -> None:
    if "auth" in target:
        leave(node, "the URL of the target has its own", "basic_auth", "authorization", "bearer_token",
              "bearer_token_file")  # fmt: skip
        return
    basic, other = node.mapping("basic_auth"), node.mapping("authorization")
    if basic is not None:
        _basic(draft, basic, target, to, what)
    elif other is not None:
        _authorization(draft, other, target, to, what)
    elif node.get("bearer_token", "bearer_token_file") is not None:
        token = _secret(draft, node, "bearer_token", f"{to}.auth.bearer", what)
        target |= {"auth": {"bearer": token}} if token else {}
    why = "another authentication method takes precedence"
    if basic is not None:
        leave(node, why, "authorization")
    if basic is not None or other is not None:
        leave(node, why, "bearer_token", "bearer_token_file")


def _basic(draft: Draft, basic: Node, target: dict[str, Any], to: str, what: str) -> None:
    where = f"{to}.auth.basic"
    password = _secret(draft, basic, "password", f"{where}.password", what)
    if not password:
        for one in basic.fields():
            one.left("a user without a password does not sign in")
        return
    user, file = basic.get("username"), basic.get("username_file")
    if user is not None:
        leave(basic, "`username` takes precedence", "username_file")
        carry(user, f"{where}.username")
        written = user.as_text()
    else:
        written = file_reference(file, f"{where}.username") if file is not None else ""
    target["auth"] = {"basic": {"username": written, "password": password}}


def _authorization(draft: Draft, node: Node, target: dict[str, Any], to: str, what: str) -> None:
    """`Bearer` is a way to sign in, any other scheme a header."""
    scheme = node.text("type").strip() or "Bearer"
    is_bearer = scheme.lower() == "bearer"
    where = f"{to}.auth.bearer" if is_bearer else f"{to}.headers.Authorization"
    credentials = _secret(draft, node, "credentials", where, what)
    if not credentials:
        node.left("it names no credentials")
        return
    if is_bearer:
        target["auth"] = {"bearer": credentials}
    else:
        target.setdefault("headers", {})["Authorization"] = f"{scheme} {credentials}"
    carry(node.get("type"), where)


def _secret(draft: Draft, node: Node, key: str, to: str, what: str) -> str:
    """A reference to the secret in this field, or in the file that the field beside it names; empty without both."""
    secret, file = node.get(key), node.get(f"{key}_file")
    if secret is not None:
        secret.carried(to, KEPT_OUTSIDE)
        leave(node, f"`{key}` takes precedence", f"{key}_file")
        return draft.secret(secret, f"{what}_{key}")
    return file_reference(file, to) if file is not None else ""


def _transport(
    draft: Draft, node: Node, target: dict[str, Any], expect: dict[str, Any], named: tuple[str, str]
) -> None:
    what, to = named
    proxy, limit, compression = node.get("proxy_url"), node.get("body_size_limit"), node.get("compression")
    if proxy is not None:
        target["proxy"] = draft.secret(proxy, f"{what}_proxy") if "@" in proxy.as_text() else proxy.as_text()
        proxy.carried(f"{to}.http.proxy", KEPT_OUTSIDE if "@" in proxy.as_text() else "")
    if limit is not None:
        _limit(limit, target, expect, to)
    if compression is not None:
        written = compression.as_text()
        if written in _COMPRESSIONS:
            target["compressed"] = written
            compression.carried(f"{to}.http.compressed")
        elif written:
            compression.left(f"`{written[:20]}` is none of {', '.join(_COMPRESSIONS)}")
        else:
            compression.carried(f"{to}.http.compressed")
    if (skipped := node.get("skip_resolve_phase_with_proxy")) is not None:
        if skipped.is_on or proxy is None:
            skipped.carried(f"{to}.http.proxy", "a proxy always resolves the name")
        else:
            skipped.approximated(f"{to}.http.proxy", "a proxy always resolves the name")


def _limit(limit: Node, target: dict[str, Any], expect: dict[str, Any], to: str) -> None:
    """A longer body is a failure, as in the exporter."""
    size = bytes_of(limit)
    if not size:
        limit.approximated(f"{to}.http.max_read", "no limit, and here 10 MB are read and the rest is cut off")
        return
    expect["max_bytes"] = size
    target["max_read"] = min(max(size, _SMALLEST_READ), _LARGEST_READ)
    limit.carried(f"{to}.expect.max_bytes")

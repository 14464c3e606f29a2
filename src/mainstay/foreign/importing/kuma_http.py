"""Uptime Kuma's monitors over HTTP: `http`, `keyword` and `json-query`."""

from __future__ import annotations

from typing import Any

from mainstay.foreign.importing.kuma_conditions import comparison, put_json
from mainstay.foreign.importing.kuma_source import row_of, text
from mainstay.foreign.importing.kuma_target import Monitor, Target
from mainstay.foreign.importing.requests import KEPT_OUTSIDE, put_body, put_headers, put_method, put_url, shortened
from mainstay.foreign.importing.source import Node, carry
from mainstay.foreign.importing.values import statuses_of, written_statuses

_ENCODINGS = {"json": "application/json", "xml": "text/xml", "form": "application/x-www-form-urlencoded"}


def read_http(own: Monitor) -> Target | str:
    url = own.get("url")
    if url is None:
        return "it has no URL"
    target: dict[str, Any] = {}
    put_url(own.draft, url, target, f"{own.to}.http", own.name)
    _request(own, target)
    _credentials(own, target)
    _connection(own, target)
    expect: dict[str, Any] = {}
    _statuses(own, expect)
    _words(own, expect)
    found = Target("http", shortened(target, "url"), expect)
    if not target["url"].lower().startswith("https:"):
        idle(own, "expiryNotification", "a plain address has no certificate to check")
    elif own.is_on("ignoreTls"):
        idle(own, "expiryNotification", "Kuma checks no certificate where it ignores TLS errors")
    else:
        certificate(own, found, "certificate_days")
    return found


def certificate(own: Monitor, found: Target, name: str) -> None:
    """Kuma tells before a certificate expires, if that is switched on."""
    notification = own.get("expiryNotification")
    if notification is None or not notification.is_on:
        return
    found.expect[name] = 21
    found.alert_on = ["down", "degraded"]
    how = "Kuma notifies 21, 14 and 7 days before; here it is degraded from 21 days on"
    notification.approximated(f"{own.to}.expect.{name}", how)


def idle(own: Monitor, name: str, why: str) -> None:
    if (found := own.get(name)) is not None:
        found.idle(why)


def _request(own: Monitor, target: dict[str, Any]) -> None:
    method, headers, body = own.get("method"), own.get("headers"), own.get("body")
    if method is not None:
        put_method(method, target, f"{own.to}.http")
    if headers is not None and isinstance(headers.value, dict):
        put_headers(own.draft, headers, target, f"{own.to}.http", own.name)
    elif headers is not None:
        headers.left("it is not a mapping in JSON")
    encoding = own.get("httpBodyEncoding")
    if body is not None:
        put_body(own.draft, body, target, f"{own.to}.http", own.name)
        kind = _ENCODINGS.get(encoding.as_text() if encoding is not None else "json")
        if kind and not any(key.lower() == "content-type" for key in target.get("headers", {})):
            target.setdefault("headers", {})["Content-Type"] = kind
        carry(encoding, f"{own.to}.http.headers.Content-Type")
    elif encoding is not None:
        encoding.idle("there is no body")


def _credentials(own: Monitor, target: dict[str, Any]) -> None:
    method = text(own.node, "authMethod")
    user, password = own.get("basic_auth_user"), own.get("basic_auth_pass")
    if method in ("", "basic") and user is not None and password is not None:
        basic = {"username": user.as_text(), "password": own.draft.secret(password, f"{own.name}_password")}
        target["auth"] = {"basic": basic}
        own.carry("basic_auth_user", "http.auth.basic.username")
        own.carry("basic_auth_pass", "http.auth.basic.password", KEPT_OUTSIDE)
        own.carry("authMethod", "http.auth")
    elif method == "mtls":
        for theirs, ours in (("tlsCert", "certificate"), ("tlsKey", "key"), ("tlsCa", "ca")):
            if (found := own.get(theirs)) is not None:
                how = "the PEM text as it stands there"
                target.setdefault("tls", {})[ours] = own.draft.secret(found, f"{own.name}_{ours}", how)
                own.carry(theirs, f"http.tls.{ours}", KEPT_OUTSIDE)
        own.carry("authMethod", "http.tls")
    elif method == "bearer" and (token := own.get("bearer_token")) is not None:
        target["auth"] = {"bearer": own.draft.secret(token, f"{own.name}_token")}
        own.carry("bearer_token", "http.auth.bearer", KEPT_OUTSIDE)
        own.carry("authMethod", "http.auth.bearer")
    elif method in ("oauth2-cc", "ntlm"):
        for name in ("authMethod", "authDomain", "authWorkstation", "basic_auth_user", "basic_auth_pass",
                     "oauth_client_id", "oauth_client_secret", "oauth_token_url", "oauth_scopes",
                     "oauth_audience", "oauth_auth_method"):  # fmt: skip
            if (found := own.get(name)) is not None:
                found.left(f"Mainstay does not sign in by {'NTLM' if method == 'ntlm' else 'OAuth2'}")


def _connection(own: Monitor, target: dict[str, Any]) -> None:
    if own.is_on("ignoreTls"):
        target.setdefault("tls", {})["verify"] = False
    own.carry("ignoreTls", "http.tls.verify")
    redirects = own.get("maxredirects")
    count = redirects.as_number() if redirects is not None else None
    if count == 0:
        target["redirects"] = {"follow": False}
    elif count is not None and count != 10:
        target["redirects"] = {"limit": int(min(max(count, 1), 50))}
    own.carry("maxredirects", "http.redirects")
    if own.is_on("cacheBust"):
        target["cache_bust"] = True
        own.carry("cacheBust", "http.cache_bust")
    family = text(own.node, "ipFamily")
    if family in ("ipv4", "ipv6"):
        target["ip_version"] = int(family[-1])
        own.carry("ipFamily", "http.ip_version")
    _proxy(own, target)


def _proxy(own: Monitor, target: dict[str, Any]) -> None:
    chosen = own.get("proxyId")
    if chosen is None:
        return
    identity = chosen.as_text().removesuffix(".0")
    proxy = row_of(own.root, "proxy", identity)
    if proxy is None:
        chosen.left("there is no such proxy")
        return
    protocol = {"socks5": "socks5h", "socks": "socks5h"}.get(text(proxy, "protocol"), text(proxy, "protocol"))
    user = ""
    if (auth := proxy.get("auth")) is not None and auth.is_on and (password := proxy.get("password")) is not None:
        user = f"{text(proxy, 'username')}:{own.draft.secret(password, f'proxy_{identity}_password')}@"
    target["proxy"] = f"{protocol}://{user}{text(proxy, 'host')}:{text(proxy, 'port')}"
    chosen.carried(f"{own.to}.http.proxy")
    for name in ("protocol", "host", "port", "auth", "username", "password"):
        carry(proxy.get(name), f"{own.to}.http.proxy")


def _statuses(own: Monitor, expect: dict[str, Any]) -> None:
    accepted = own.get("accepted_statuscodes")
    if accepted is None or not isinstance(accepted.value, list):
        return
    codes: set[int] = set()
    for index, value in enumerate(accepted.value):
        found = statuses_of(str(value))
        if found is None:
            Node(value, (*accepted.path, index), accepted.report).left("it is no status and no range of them")
        codes |= found or set()
    written = written_statuses(codes)
    # Where redirects are not followed, ours takes 200-399 unless it is told.
    if codes and (written != ["200-299"] or text(own.node, "maxredirects") == "0"):
        expect["status"] = written[0] if len(written) == 1 else written
    accepted.carried(f"{own.to}.expect.status")


def _words(own: Monitor, expect: dict[str, Any]) -> None:
    kind, keyword = text(own.node, "type"), own.get("keyword")
    if kind == "keyword" and keyword is not None:
        name = "not_contains" if own.is_on("invertKeyword") else "contains"
        expect[name] = keyword.as_text()
        keyword.carried(f"{own.to}.expect.{name}")
        own.carry("invertKeyword", f"expect.{name}")
    if kind == "json-query":
        _json_query(own, expect)


def _json_query(own: Monitor, expect: dict[str, Any]) -> None:
    found = comparison(text(own.node, "jsonPathOperator") or "==", text(own.node, "expectedValue"))
    put_json(own, expect, found, "jsonPath", "expectedValue", "jsonPathOperator")

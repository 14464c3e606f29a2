"""From an order to the options of libcurl, worked out once and set again for each run."""

from __future__ import annotations

import json
import re
import socket
import time
from dataclasses import dataclass, field, replace
from secrets import token_hex
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import pycurl

from mainstay import __version__
from mainstay.integrations.checks.certificates import load_reader
from mainstay.integrations.checks.http.credentials import (
    is_secret_name,
    origin,
    secret_query,
    shown_url,
    userinfo,
)
from mainstay.integrations.checks.http.expectations import Expectations
from mainstay.integrations.checks.http.packing import ASKED
from mainstay.integrations.checks.http.transfers import Setup
from mainstay.integrations.checks.progress import document
from mainstay.integrations.idn import ascii_host
from mainstay.kernel.masking import Masker
from mainstay.kernel.probing import CheckFault

if TYPE_CHECKING:
    from mainstay.kernel.probing import CheckOrder

# The key exchanges of OpenSSL without the post-quantum hybrid, whose key share costs a tenth of a handshake and
# 1.2 kB on the wire; a check carries nothing that is worth recording for later decryption.
_GROUPS = "X25519:P-256:P-384:P-521"
# The order of OpenSSL with AES-128 first: its SHA-256 costs less than the SHA-384 of AES-256, at no loss of use.
_CIPHERS = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
_VERSIONS = {
    "1.0": pycurl.CURL_HTTP_VERSION_1_0,
    "1.1": pycurl.CURL_HTTP_VERSION_1_1,
    "2": pycurl.CURL_HTTP_VERSION_2TLS,
    "2-prior-knowledge": pycurl.CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE,
}
_TLS_VERSIONS = {"1.2": pycurl.SSLVERSION_TLSv1_2, "1.3": pycurl.SSLVERSION_TLSv1_3}
_NEWEST_TLS = {"": 0, "1.2": pycurl.SSLVERSION_MAX_TLSv1_2, "1.3": pycurl.SSLVERSION_MAX_TLSv1_3}
# An address in its one usual form and nothing that another parser could read differently.
_PLAIN = re.compile(r"https?://(\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3})(?::\d{1,5})?(?:[/?][^\s\\]*)?")
_DEFAULT_PORTS = {"http": 80, "https": 443, "proxy": 1080}
_UNSAFE = re.compile(r"[^\x21-\x7e]")
_CERTIFICATE_FRESH = 3600.0  # seconds; reading it costs a tenth of a handshake
_ORIGINS = 20  # whose certificates are kept
Option = tuple[int, Any]
Origin = tuple[str, str, int]


@dataclass(frozen=True, slots=True)
class Content:
    """What is sent. `bound` and `bound_headers`, and the body, go to the origin that they were written for only."""

    method: str
    body: bytes | None
    headers: tuple[str, ...]
    bound_headers: tuple[str, ...]
    bound: tuple[Option, ...]  # name and password, cookies, certificate of the client


@dataclass(frozen=True, slots=True)
class Request:
    """One request to one URL; a redirect makes another one from it."""

    url: str
    content: Content
    # Worked out from these:
    setup: Setup
    secure: bool
    origin: Origin
    plain: str  # the address, where the URL holds one in its usual form and nothing stands in between
    sent_url: str  # with the name to be asked for as its host
    via: str  # host that is looked up and connected to: the URL's or the proxy's
    entry: str  # `name:port` for which libcurl is told the addresses; empty where it needs none
    cache_bust: bool = False

    def address(self) -> str:
        """What is sent this time."""
        if not self.cache_bust:
            return self.sent_url
        return f"{self.sent_url}{'&' if '?' in self.sent_url else '?'}cache_bust={token_hex(6)}"


class Requests:
    """Makes the requests of one check: the first, and those that redirects lead to."""

    def __init__(self, target: dict[str, Any], secrets: tuple[str, ...], *, absence: bool = False) -> None:
        """absence: something must not be in the body, which therefore must be known to be whole."""
        tls = target.get("tls") or {}
        content = _content(target, secrets)
        self.raw = absence and not any("br" in line.partition(":")[2] for line in content.headers if _asks(line))
        self.raw = self.raw and target.get("compressed") != "br"  # which libcurl alone can unpack
        self.family = {4: socket.AF_INET, 6: socket.AF_INET6}.get(target.get("ip_version") or 0, 0)
        self._options = (*_shared_options(target, raw=self.raw), *_tls_options(tls))
        asked = target.get("compressed")
        if self.raw and asked and not any(map(_asks, content.headers)):
            line = f"Accept-Encoding: {asked if isinstance(asked, str) else ASKED}"
            content = replace(content, headers=(*content.headers, line))
        self.verify: bool = tls.get("verify", True)
        self.ca = str(tls.get("ca") or "")
        self._trusting = not self.ca
        self._server_name: str = tls.get("server_name") or ""
        self._proxy: str = target.get("proxy") or ""
        url = str(target["url"])
        self._origin = origin(clean_url(url))
        first = self._make(url if is_plain_address(url) else clean_url(url), content)
        self.first = replace(first, cache_bust=bool(target.get("cache_bust")))

    def redirected(self, request: Request, status: int, target: str) -> Request:
        """What follows a redirect (RFC 9110, 15.4). CheckFault `expect.redirects` where nothing can follow it."""
        try:
            url = clean_url(target)
        except CheckFault:
            reason = f"it redirects to `{shown_url(target[:200])}`, which is not an HTTP URL"
            raise CheckFault("expect.redirects", reason) from None
        content = request.content
        if status == 303 or (status in (301, 302) and content.method == "POST"):
            kept = tuple(line for line in content.headers if not line.lower().startswith("content-type:"))
            method = "HEAD" if content.method == "HEAD" else "GET"
            content = replace(content, method=method, body=None, headers=kept)
        if origin(url) != origin(request.url):
            if content.body:
                scheme, host, port = origin(url)
                reason = f"{status} redirects the body to {scheme}://{host}:{port}, but it is for its own origin only"
                raise CheckFault("expect.redirects", f"{reason}; if that is intended, check that URL itself")
            content = replace(content, bound_headers=(), bound=())
        return self._make(url, content)

    def _make(self, url: str, content: Content) -> Request:
        renamed = bool(self._server_name) and not self._proxy and origin(url) == self._origin
        plain = "" if self._proxy or renamed or self.family else is_plain_address(url)
        parts, via = urlsplit(url), urlsplit(self._proxy or url)
        host, sent, lines = via.hostname or "", url, [*content.headers, *content.bound_headers]
        name = self._server_name if renamed else host
        if renamed:
            sent = url.replace(f"//{parts.netloc}", f"//{name}:{via.port}" if via.port else f"//{name}", 1)
            if not any(line.lower().startswith("host:") for line in lines):
                lines.append(f"Host: {parts.netloc}")
        port = via.port or _DEFAULT_PORTS.get(via.scheme if not self._proxy else "proxy", 80)
        options = (*self._options, *content.bound, *_method_options(content.method, content.body, lines))
        return Request(
            url=url,
            content=content,
            setup=Setup(options, guarded=not plain, trusting=self._trusting, once=_signs_in(content.bound)),
            secure=parts.scheme == "https",
            origin=origin(url),
            plain=plain,
            sent_url=sent,
            via=host,
            entry="" if name == host and _is_address(host) else f"{name}:{port}",
        )


class State:
    """What one run leaves for the next: the certificates of each origin, and the monotonic time to read them again."""

    __slots__ = ("_paths",)

    def __init__(self) -> None:
        self._paths: dict[Origin, tuple[float, list[dict[str, Any]]]] = {}

    def is_due(self, at: Origin) -> bool:
        return at not in self._paths or time.monotonic() >= self._paths[at][0]

    def path(self, at: Origin) -> list[dict[str, Any]]:
        return self._paths[at][1] if at in self._paths else []

    def keep(self, at: Origin, path: list[dict[str, Any]]) -> None:
        if len(self._paths) >= _ORIGINS:
            self._paths.clear()
        self._paths[at] = (time.monotonic() + _CERTIFICATE_FRESH, path)

    def forget(self) -> None:
        self._paths.clear()


@dataclass(frozen=True, slots=True)
class Prepared:
    timeout: float
    requests: Requests
    expectations: Expectations
    masker: Masker  # of its secrets, for what is shown
    follow: bool
    redirect_limit: int
    max_read: int
    detail: bool  # /probe and `mainstay check` show more than a scheduled check keeps
    state: State = field(default_factory=State)


def plan_request(order: CheckOrder) -> Prepared:
    """CheckFault or ValueError if the order cannot be carried out."""
    target = document(order, "target")
    if str(target["url"])[:5].lower() == "https":
        load_reader()
    redirects = target.get("redirects") or {}
    follow = redirects.get("follow", True)
    secrets, expect = (*_secrets(target), *order.secrets), document(order, "expect")
    return Prepared(
        timeout=order.timeout,
        requests=Requests(target, secrets, absence=bool(expect.get("not_contains") or expect.get("not_regex"))),
        expectations=Expectations(expect, follows=follow),
        masker=Masker(secrets),
        follow=follow,
        redirect_limit=redirects.get("limit", 10),
        max_read=target.get("max_read", 10 * 1024 * 1024),
        detail=bool(order.options.get("detail")),
    )


def is_plain_address(url: str) -> str:
    """The IPv4 address of a URL in whose host no two parsers differ, else the empty string."""
    found = _PLAIN.fullmatch(url)
    return found[1] if found else ""


def clean_url(url: str) -> str:
    """The URL in ASCII: host in its IDNA form, other characters percent-encoded. CheckFault if there is no host."""
    try:
        parts = urlsplit(url)
        host, port = ascii_host(parts.hostname or ""), parts.port
    except ValueError:  # its text may quote userinfo
        raise CheckFault("check.bad_url", "the host or the port of the URL cannot be used", verdict="unknown") from None
    if parts.scheme not in ("http", "https") or not host:
        raise CheckFault("check.bad_url", "the URL needs http:// or https:// and a host", verdict="unknown")
    bare = f"[{host}]" if ":" in host else host
    authority = f"{bare}:{port}" if port else bare
    cleaned = urlunsplit((parts.scheme, authority, parts.path or "/", parts.query, ""))
    return _UNSAFE.sub(lambda found: quote(found[0]), cleaned)


def _content(target: dict[str, Any], secrets: tuple[str, ...]) -> Content:
    body, content_type = _body(target)
    headers = [(str(name), str(value)) for name, value in (target.get("headers") or {}).items()]
    if bearer := (target.get("auth") or {}).get("bearer"):
        headers.append(("Authorization", f"Bearer {bearer}"))
    given = {name.lower() for name, _value in headers}
    if body is not None and "content-type" not in given:
        headers.append(("Content-Type", content_type))
    if "user-agent" not in given:
        headers.append(("User-Agent", f"Mainstay/{__version__}"))
    for name, value in headers:
        if re.search(r"[\r\n\0]", name + value):
            raise CheckFault("check.bad_header", f"the header {name[:40]} holds a line break", verdict="unknown")
    bound = [header for header in headers if _is_bound(*header, secrets)]
    cookies = [header for header in bound if header[0].lower() == "cookie" and header[1]]
    unasked = () if target.get("compressed") or "accept-encoding" in given else ("Accept-Encoding:",)
    return Content(
        method=target.get("method", "GET"),
        body=body,
        headers=(*(_line(*header) for header in headers if header not in bound), *unasked),
        bound_headers=tuple(_line(*header) for header in bound if header not in cookies),
        bound=(
            *_credentials(target.get("auth") or {}, userinfo(str(target["url"]))),
            *((pycurl.COOKIE, value) for _name, value in cookies),  # libcurl joins it with those that servers set
            *_client_certificate(target.get("tls") or {}),
        ),
    )


def _is_bound(name: str, value: str, secrets: tuple[str, ...]) -> bool:
    """Whether a header stays with its origin: a credential by its name, a reference's value, a name of a host."""
    return is_secret_name(name) or name.lower() == "host" or any(secret and secret in value for secret in secrets)


def _signs_in(options: tuple[Option, ...]) -> bool:
    return any(option == pycurl.HTTPAUTH for option, _value in options)


def _method_options(method: str, body: bytes | None, lines: list[str]) -> list[Option]:
    options: list[Option] = []
    if method == "HEAD":
        options.append((pycurl.NOBODY, 1))
    elif body is not None or method == "POST":
        options.append((pycurl.POSTFIELDS, body or b""))
        lines = [*lines, "Expect:"]  # a check does not wait for a 100
    if method not in ("HEAD", "GET" if body is None else "POST", "POST"):
        options.append((pycurl.CUSTOMREQUEST, method))
    return [*options, (pycurl.HTTPHEADER, tuple(lines))]


def _is_address(host: str) -> bool:
    return ":" in host or re.fullmatch(r"\d{1,3}(\.\d{1,3}){3}", host) is not None


def _line(name: str, value: str) -> str:
    # libcurl drops `Name:`; `Name;` is how an empty header is sent.
    return f"{name}: {value}" if value else f"{name};"


def _body(target: dict[str, Any]) -> tuple[bytes | None, str]:
    if target.get("json") is not None:
        return json.dumps(target["json"], ensure_ascii=False).encode(), "application/json"
    if target.get("body") is not None:
        return str(target["body"]).encode(), "text/plain; charset=utf-8"
    return None, ""


def _credentials(auth: dict[str, Any], user: str) -> list[Option]:
    for name, method in (("basic", pycurl.HTTPAUTH_BASIC), ("digest", pycurl.HTTPAUTH_DIGEST)):
        if given := auth.get(name):
            return [
                (pycurl.HTTPAUTH, method),
                (pycurl.USERNAME, str(given["username"])),
                (pycurl.PASSWORD, str(given["password"])),
            ]
    if user:
        name, _, password = user.partition(":")
        return [
            (pycurl.HTTPAUTH, pycurl.HTTPAUTH_BASIC),
            (pycurl.USERNAME, unquote(name)),
            (pycurl.PASSWORD, unquote(password)),
        ]
    return []


def _asks(line: str) -> bool:
    return line.lower().startswith("accept-encoding:")


def _shared_options(target: dict[str, Any], *, raw: bool) -> list[Option]:
    version, compressed = target.get("http_version", "1.1"), target.get("compressed")
    options: list[Option] = [
        (pycurl.NOSIGNAL, 1),
        (pycurl.FRESH_CONNECT, 1),
        (pycurl.FORBID_REUSE, 1),
        (pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS),
        (pycurl.HTTP_VERSION, _VERSIONS[version]),
        # An empty text also keeps the environment's http_proxy away: a check says itself how it travels.
        (pycurl.PROXY, target.get("proxy") or ""),
        # Unpack what comes packed, whether or not it was asked for. Empty: all kinds that libcurl can.
        (pycurl.HTTP_CONTENT_DECODING, 0)
        if raw
        else (pycurl.ACCEPT_ENCODING, compressed if isinstance(compressed, str) else ""),
    ]
    if (target.get("redirects") or {}).get("follow", True):
        options.append((pycurl.COOKIEFILE, ""))  # no file, but remember what the answers of one run set
    if version != "2":
        options.append((pycurl.SSL_ENABLE_ALPN, 0))
    if target.get("ip_version"):
        options.append((pycurl.IPRESOLVE, pycurl.IPRESOLVE_V4 if target["ip_version"] == 4 else pycurl.IPRESOLVE_V6))
    return options


def _tls_options(tls: dict[str, Any]) -> list[Option]:
    options: list[Option] = [
        (pycurl.SSL_SESSIONID_CACHE, 0),  # each check makes a full handshake
        (pycurl.SSL_EC_CURVES, _GROUPS),
        (pycurl.TLS13_CIPHERS, _CIPHERS),
    ]
    oldest, newest = tls.get("min_version") or "1.2", tls.get("max_version") or ""
    if oldest != "1.2" or newest:
        options.append((pycurl.SSLVERSION, _TLS_VERSIONS[oldest] | _NEWEST_TLS[newest]))
    if not tls.get("verify", True):
        options += [(pycurl.SSL_VERIFYPEER, 0), (pycurl.SSL_VERIFYHOST, 0)]
    if tls.get("ca"):
        options.append((pycurl.CAINFO_BLOB, str(tls["ca"]).encode()))
    return options


def _client_certificate(tls: dict[str, Any]) -> list[Option]:
    options: list[Option] = []
    if tls.get("certificate"):
        options.append((pycurl.SSLCERT_BLOB, str(tls["certificate"]).encode()))
        options.append((pycurl.SSLKEY_BLOB, str(tls["key"]).encode()))
    if tls.get("key_password"):
        options.append((pycurl.KEYPASSWD, str(tls["key_password"])))
    return options


def _secrets(target: dict[str, Any]) -> list[str]:
    """Values that are credentials by where they stand."""
    found = []
    for name, value in (target.get("headers") or {}).items():
        if is_secret_name(name):
            found += [str(value), str(value).rpartition(" ")[2]]
    auth = target.get("auth") or {}
    found += [str(part["password"]) for part in (auth.get("basic"), auth.get("digest")) if part]
    found.append(str(auth.get("bearer") or ""))
    for url in (str(target["url"]), str(target.get("proxy") or "")):
        user = userinfo(url)
        found += [user, unquote(user.partition(":")[2])]
        found += [value for _name, value in secret_query(url)]
    tls = target.get("tls") or {}
    found += [str(tls.get("key") or ""), str(tls.get("key_password") or "")]
    return found

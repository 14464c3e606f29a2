"""What a user may declare of an HTTP check.

An answer is good when its status is 200-299, or 200-399 where redirects are not followed; `expect` says more.
"""

from __future__ import annotations

import json
import re
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, JsonValue, field_validator, model_validator

from mainstay.integrations.checks.endpoint_spec import JSON_PLACES, JsonPlaces
from mainstay.integrations.checks.http.credentials import is_secret_name, secret_query, userinfo, without_userinfo
from mainstay.integrations.checks.http.statuses import parse_statuses
from mainstay.kernel.asking import first
from mainstay.kernel.duration import Duration
from mainstay.kernel.patterns import check_pattern
from mainstay.kernel.ports import CheckKind
from mainstay.kernel.resource import Spec
from mainstay.kernel.secret import REFERENCE, Secret, Text

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")  # token of RFC 9110, 5.6.2
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_AS_REFERENCE = "write ${env:NAME} or ${file:/path}, and keep the value there"
Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
HttpVersion = Literal["1.0", "1.1", "2"]
Pattern = str


class Basic(Spec):
    username: Text = Field(max_length=500, description="name to sign in with")
    password: Secret = Field(description="reference to the password")


class Auth(Spec):
    """How to sign in; exactly one of the three."""

    model_config = ConfigDict(
        json_schema_extra=first(
            either={"Name and password": ("basic",), "Digest": ("digest",), "Bearer token": ("bearer",)}
        )
    )

    basic: Basic | None = Field(None, description="HTTP basic authentication")
    digest: Basic | None = Field(None, description="HTTP digest authentication")
    bearer: Secret | None = Field(None, description="reference to a token sent as `Authorization: Bearer`")

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if sum(part is not None for part in (self.basic, self.digest, self.bearer)) != 1:
            raise ValueError("auth needs exactly one of basic, digest and bearer")
        return self


class Redirects(Spec):
    follow: bool = Field(
        True,
        description="follow redirects; credentials, values of references, the header Host, the body and the "
        "certificate of the client go to their own origin only",
    )
    limit: int = Field(10, ge=1, le=50, description="largest number of redirects to follow")


class Tls(Spec):
    verify: bool = Field(True, description="verify the certificate and its name")
    ca: Text | None = Field(None, description="PEM certificates to trust instead of the system's, or ${file:ca.pem}")
    certificate: Text | None = Field(None, description="client certificate in PEM form, usually ${file:client.pem}")
    key: Secret | None = Field(None, description="reference to the key of the client certificate")
    key_password: Secret | None = Field(None, description="reference to the password of that key")
    server_name: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9.-]{1,253}$",
        description="name to request (SNI) and verify instead of the URL's host; not through a proxy",
    )
    min_version: Literal["1.2", "1.3"] = Field("1.2", description="oldest TLS version accepted")
    max_version: Literal["1.2", "1.3"] | None = Field(None, description="newest TLS version offered")

    @model_validator(mode="after")
    def _key_with_certificate(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("a client certificate needs both `certificate` and `key`")
        return self


class HttpTarget(Spec):
    model_config = ConfigDict(json_schema_extra=first("url", "method"))

    url: Text = Field(max_length=2000, description="what to request", examples=["https://example.com/health"])
    method: Method = Field("GET", description="method of the request")
    headers: dict[str, Text] = Field({}, max_length=50, description="headers to send")
    body: Text | None = Field(None, description="body to send as it is")
    json_: JsonValue = Field(None, alias="json", description="body to send as JSON")
    auth: Auth | None = Field(None, description="how to sign in")
    redirects: Redirects = Field(Redirects(), description="what to do with redirects")
    tls: Tls = Field(Tls(), description="options of TLS")
    http_version: Literal["1.0", "1.1", "2", "2-prior-knowledge"] = Field(
        "1.1", description="2: HTTP/2 if the server offers it; 2-prior-knowledge: without negotiation, also without TLS"
    )
    compressed: bool | Literal["gzip", "br", "deflate", "identity"] = Field(
        False,
        description="request a compressed answer, with any encoding or this one; compressed answers are "
        "decompressed anyway",
    )
    cache_bust: bool = Field(False, description="add a random query parameter, so that no cache answers")
    proxy: Text | None = Field(None, max_length=2000, description="http://, https:// or socks5h:// proxy to go through")
    ip_version: Literal[4, 6] | None = Field(None, description="use addresses of this version only")
    max_read: int = Field(
        10 * 1024 * 1024,
        ge=1024,
        le=1024**3,
        description="bytes of the decompressed body to read; the rest is cut off, and only the first MiB is examined",
    )

    @field_validator("url")
    @classmethod
    def _usable_url(cls, url: str) -> str:
        check_url(url, ("http", "https"), "https://example.com/health")
        for name, value in secret_query(url):
            if not REFERENCE.search(value):
                raise ValueError(f"the query parameter `{name}` looks like a credential: {_AS_REFERENCE}")
        return url

    @field_validator("proxy")
    @classmethod
    def _usable_proxy(cls, url: str | None) -> str | None:
        if url is not None:
            check_url(url, ("http", "https", "socks5h"), "http://proxy.example.com:3128")
        return url

    @field_validator("headers")
    @classmethod
    def _usable_headers(cls, headers: dict[str, str]) -> dict[str, str]:
        return check_headers(headers)

    @field_validator("json_")
    @classmethod
    def _small_json(cls, value: JsonValue) -> JsonValue:
        if len(json.dumps(value)) > 100_000:
            raise ValueError("json has at most 100000 characters")
        return value

    @model_validator(mode="after")
    def _one_body(self) -> Self:
        if self.body is not None and self.json_ is not None:
            raise ValueError("give either body or json, not both")
        if self.method == "HEAD" and (self.body is not None or self.json_ is not None):
            raise ValueError("a HEAD request has no body")
        if self.auth is not None and any(name.lower() == "authorization" for name in self.headers):
            raise ValueError("give either auth or the header Authorization, not both")
        return self


def check_headers(headers: dict[str, str]) -> dict[str, str]:
    """The headers if they may be sent as they are; ValueError says which may not."""
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise ValueError(f"`{name[:40]}` is not a valid header name")
        if _CONTROL.search(value):
            raise ValueError(f"the header {name} holds a line break or a control character")
        if is_secret_name(name) and not REFERENCE.search(value):
            raise ValueError(f"the header {name} holds a credential: {_AS_REFERENCE}")
    if len({name.lower() for name in headers}) != len(headers):
        raise ValueError("a header is named twice")
    return headers


def check_url(url: str, schemes: tuple[str, ...], example: str) -> None:
    """ValueError unless the URL, with references standing for parts of it, can be requested."""
    user = userinfo(url)
    if user and not REFERENCE.search(user):
        raise ValueError(f"the URL holds a user or a password: {_AS_REFERENCE}, or use auth")
    if re.search(r"[\s\\]", REFERENCE.sub("x", url)) or _CONTROL.search(url):
        raise ValueError(f"the URL holds a space, a backslash or a control character; write it as {example}")
    if REFERENCE.match(url):  # all of it comes from outside
        return
    try:
        parts = urlsplit(REFERENCE.sub("x", without_userinfo(url)))
        port = parts.port
    except ValueError as error:
        raise ValueError(f"`{without_userinfo(url)[:80]}` is not a URL: {error}") from None
    if parts.scheme.lower() not in schemes or not parts.hostname or port == 0:
        known = ", ".join(f"{scheme}://" for scheme in schemes)
        raise ValueError(f"`{without_userinfo(url)[:80]}` is not a URL with {known} and a host, such as {example}")


class HeaderPattern(Spec):
    """One header that is looked into; of several with one name, one that matches is enough."""

    name: str = Field(max_length=100, description="name of the header")
    regex: Pattern = Field(description="pattern that must match a value")
    found: bool = Field(True, description="false: it must not match")
    optional: bool = Field(False, description="the header may be missing")

    @field_validator("name")
    @classmethod
    def _known_name(cls, value: str) -> str:
        if not _HEADER_NAME.fullmatch(value):
            raise ValueError(f"`{value[:40]}` is not a valid header name")
        return value

    @field_validator("regex")
    @classmethod
    def _known_pattern(cls, value: str) -> str:
        return check_pattern(value)


class HttpExpect(Spec):
    model_config = ConfigDict(json_schema_extra=first("status", "contains", "degraded_after"))

    status: int | str | list[int | str] | None = Field(
        None, description="expected status codes: 200, 200-299, 2xx or a list; default 200-299, or 200-399 unfollowed"
    )
    headers: dict[str, str] = Field(
        {}, max_length=50, description="header -> its exact value, or /pattern/ that must match it"
    )
    header_patterns: list[HeaderPattern] = Field(
        [], max_length=50, description="headers whose values a pattern must match, or must not match"
    )
    contains: str | list[str] | None = Field(None, description="text that the body must contain")
    not_contains: str | list[str] | None = Field(
        None, description="text that the body must not contain; unknown if the body is over 1 MiB"
    )
    regex: Pattern | list[Pattern] | None = Field(None, description="patterns that must match the body")
    not_regex: Pattern | list[Pattern] | None = Field(
        None, description="patterns that must not match the body; unknown if it is over 1 MiB"
    )
    json_: JsonPlaces = Field({}, alias="json", max_length=50, description=f"in the body: {JSON_PLACES}")
    min_bytes: int | None = Field(None, ge=0, description="smallest size of the body")
    max_bytes: int | None = Field(None, ge=0, description="largest size of the body")
    certificate_days: float | None = Field(
        None, ge=0, le=3650, description="degraded with fewer days left than this on any relevant certificate"
    )
    protocol: HttpVersion | list[HttpVersion] | None = Field(
        None, description="HTTP version that must be used, or a list of allowed ones"
    )
    tls: bool | None = Field(None, description="whether the last answer must, or must not, come over TLS")
    degraded_after: Duration | None = Field(None, description="slower than this is degraded")
    down_after: Duration | None = Field(None, description="slower than this is a failure")

    @field_validator("status")
    @classmethod
    def _known_status(cls, value: Any) -> Any:
        if value is not None and not parse_statuses(value):
            raise ValueError("status lists no code")
        return value

    @field_validator("headers")
    @classmethod
    def _usable_headers(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            if not _HEADER_NAME.fullmatch(name):
                raise ValueError(f"`{name[:40]}` is not a valid header name")
            if len(value) > 2 and value.startswith("/") and value.endswith("/"):
                check_pattern(value[1:-1])
        return headers

    @field_validator("contains", "not_contains")
    @classmethod
    def _some_text(cls, value: str | list[str] | None) -> str | list[str] | None:
        for text in [value] if isinstance(value, str) else value or []:
            if not text or len(text) > 10_000:
                raise ValueError("text to look for has 1 to 10000 characters")
        return value

    @field_validator("regex", "not_regex")
    @classmethod
    def _known_patterns(cls, value: str | list[str] | None) -> str | list[str] | None:
        for pattern in [value] if isinstance(value, str) else value or []:
            check_pattern(pattern)
        return value

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        if self.min_bytes is not None and self.max_bytes is not None and self.min_bytes > self.max_bytes:
            raise ValueError("min_bytes is above max_bytes")
        if self.degraded_after is not None and self.down_after is not None and self.degraded_after > self.down_after:
            raise ValueError("degraded_after is above down_after")
        return self


KIND = CheckKind(
    "http", "HTTP or HTTPS request", HttpTarget, HttpExpect, "url", lambda target: without_userinfo(str(target.url))
)

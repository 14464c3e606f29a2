"""What a monitor may say about a WebSocket."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field, field_validator

from mainstay.integrations.checks.endpoint_spec import CertificateExpect, TlsTrust, WordsExpect
from mainstay.integrations.checks.http.credentials import secret_query, without_userinfo
from mainstay.integrations.checks.http.spec import check_headers, check_url
from mainstay.kernel.ports import CheckKind
from mainstay.kernel.secret import REFERENCE, Text

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")  # token of RFC 9110, 5.6.2


class WebsocketTarget(TlsTrust):
    url: Text = Field(max_length=2000, description="ws:// or wss:// address")
    headers: dict[str, Text] = Field({}, max_length=50, description="headers to send; credentials must be references")
    subprotocols: list[str] = Field([], max_length=20, description="subprotocols to offer; the server must select one")
    send: Text | None = Field(None, max_length=10_000, description="text message to send once connected")

    @field_validator("url")
    @classmethod
    def _usable_url(cls, url: str) -> str:
        check_url(url, ("ws", "wss"), "wss://example.com/live")
        if url != without_userinfo(url):
            raise ValueError("a user or password in the URL is not sent; use the header Authorization")
        for name, value in secret_query(url):
            if not REFERENCE.search(value):
                raise ValueError(f"the query parameter `{name}` looks like a credential: write ${{env:NAME}}")
        return url

    @field_validator("headers")
    @classmethod
    def _usable_headers(cls, headers: dict[str, str]) -> dict[str, str]:
        check_headers(headers)
        for name in headers:
            if name.lower() in ("connection", "upgrade", "host") or name.lower().startswith("sec-websocket-"):
                raise ValueError(f"the header {name} belongs to the upgrade, which the check writes itself")
        return headers

    @field_validator("subprotocols")
    @classmethod
    def _tokens(cls, names: list[str]) -> list[str]:
        for name in names:
            if not _TOKEN.fullmatch(name):
                raise ValueError(f"`{name[:40]}` is not the name of a subprotocol")
        return names


class WebsocketExpect(WordsExpect, CertificateExpect):
    pong: bool = Field(False, description="the server must answer a ping")
    close: list[Annotated[int, Field(ge=1000, le=4999)]] = Field(
        [],
        max_length=50,
        description="codes that the server may answer the close of the check with (1000); 1005: it names none, "
        "1006: it goes without a close; default: any, or no answer",
    )


KIND = CheckKind(
    "websocket",
    "WebSocket: upgrade, message and answer",
    WebsocketTarget,
    WebsocketExpect,
    "url",
    lambda target: without_userinfo(str(target.url)),
)

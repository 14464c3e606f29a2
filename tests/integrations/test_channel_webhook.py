from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError
from tests.rigs.channel_rigs import notification
from tests.rigs.receivers import Receiver, Reply, receiver

from mainstay.frames.boot import current_settings
from mainstay.integrations.channels.webhook.deliver import deliver
from mainstay.integrations.http_client import Answer
from mainstay.kernel.errors import Refused, Unavailable
from mainstay.kernel.ports import DeliveryContext
from mainstay.kernel.resource import KINDS


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with receiver() as running:
        yield running


def _context(timeout: float = 5.0) -> DeliveryContext:
    return DeliveryContext(current_settings(), 1_800_000_000.0, timeout)


def test_the_body_is_exactly_what_is_published(hook: Receiver) -> None:
    deliver({"url": hook.url, "secret": "k3y", "headers": {"X-Team": "web"}}, notification("resolved"), _context())
    request = hook.requests[0]
    body = request.json
    assert list(body) == ["status", "alert", "evidence", "links"]
    assert list(body["alert"]) == ["id", "monitor", "severity", "labels", "since", "until"]
    assert body["status"] == "resolved"
    assert body["alert"]["until"] == "2027-01-15T07:59:00.000Z"
    assert {"phase": "connect", "code": "connect.refused", "error": "connection refused"}.items() <= body[
        "evidence"
    ].items()
    assert body["evidence"]["changes"] == ["changed by oncall (revision 3): every"]
    assert request.headers["content-type"] == "application/json"
    assert request.headers["idempotency-key"] == "01key"
    assert request.headers["x-team"] == "web"
    expected = hmac.new(b"k3y", request.body, hashlib.sha256).hexdigest()
    assert request.headers["x-mainstay-signature"] == f"v1={expected}"
    assert request.headers["user-agent"].startswith("Mainstay/")


def test_what_lies_outside_ascii_is_delivered(hook: Receiver) -> None:
    port = hook.url.rpartition(":")[2]
    # The long s is mapped to a plain one by UTS 46, so this host is on this machine.
    url = f"http://jörg:pässwörd@localho\u017ft:{port}/größe?q=é"
    deliver({"url": url, "headers": {"X-Team": "Küche"}}, notification(), _context())
    request = hook.requests[0]
    assert request.path == "/gr%C3%B6%C3%9Fe?q=%C3%A9"
    assert request.headers["x-team"].encode("latin-1").decode() == "Küche"
    assert b64decode(request.headers["authorization"].removeprefix("Basic ")).decode() == "jörg:pässwörd"


def test_without_a_secret_there_is_no_signature(hook: Receiver) -> None:
    deliver({"url": hook.url}, notification(), _context())
    assert "x-mainstay-signature" not in hook.requests[0].headers
    assert hook.requests[0].json["alert"]["until"] is None


@pytest.mark.parametrize(
    ("status", "expected"),
    [(200, None), (204, None), (299, None)]
    + [(code, Unavailable) for code in (408, 425, 429, 500, 502, 503, 599)]
    + [(code, Refused) for code in (301, 302, 307, 400, 401, 403, 404, 410, 422)],
)
def test_what_each_answer_means(hook: Receiver, status: int, expected: type[Exception] | None) -> None:
    target = {"url": hook.url}
    hook.answer = lambda _: Reply(status, {"Location": f"{hook.url}/elsewhere"} if status < 400 else {}, b"")
    if expected is None:
        assert deliver(target, notification(), _context()).data == {"status": status}
        return
    with pytest.raises(expected, match=str(status)):
        deliver(target, notification(), _context())
    assert len(hook.requests) == 1, "redirects are not followed"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("120", 120.0),
        ("Fri, 15 Jan 2027 08:01:00 GMT", 60.0),
        ("Fri, 15 Jan 2027 07:00:00 GMT", 0.0),
        ("soon", None),
        ("", None),
        ("-5", None),
    ],
)
def test_both_forms_of_retry_after(value: str, expected: float | None) -> None:
    assert Answer(429, {"retry-after": value}).retry_after(1_800_000_000.0) == expected


def test_a_signature_key_or_header_cannot_add_headers(hook: Receiver) -> None:
    with pytest.raises(Refused, match="not one line"):
        deliver({"url": hook.url, "headers": {"X-Key": "a\r\nX-Evil: 1"}}, notification(), _context())
    assert hook.requests == []


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/x", "file:///etc/passwd", "http://", "http://a b/", "not a url"])
def test_what_is_no_http_address_is_refused_without_telling_it(url: str) -> None:
    with pytest.raises(Refused, match="not an http or https URL"):
        deliver({"url": url}, notification(), _context())


def test_an_answer_that_stalls_after_its_status_counts(hook: Receiver) -> None:
    hook.answer = lambda _: Reply(200, stream=b"x")
    assert deliver({"url": hook.url}, notification(), _context(1.0)).data == {"status": 200}


def test_the_excerpt_is_one_printable_line(hook: Receiver) -> None:
    hook.answer = lambda _: Reply(400, body=b"<b>no</b>\n\x1b[31m" + b"x" * 5000)
    with pytest.raises(Refused) as caught:
        deliver({"url": hook.url}, notification(), _context())
    assert str(caught.value).startswith("it answered 400: <b>no</b> [31mxxx")
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ({"url": "https://user:password@h.example/"}, "must be a reference"),
        ({"url": "https://h.example/", "secret": "plain"}, "must be a reference"),
        ({"url": "https://h.example/", "headers": {"Idempotency-Key": "x"}}, "Mainstay itself sets"),
        ({"url": "https://h.example/", "headers": {"X-Mainstay-Signature": "x"}}, "Mainstay itself sets"),
        ({"url": "https://h.example/", "headers": {"Authorization": "Bearer x"}}, "must hold a reference"),
        ({"url": "https://h.example/", "headers": {"a b": "x"}}, "not a valid header name"),
        ({"url": "https://h.example/", "headers": {"X-A": "a\nb"}}, "one line"),
        ({"url": "gopher://h.example/"}, "pattern"),
        ({"url": "${end:X}"}, "not a reference"),
        ({"url": "https://" + "ü" * 80 + ".example/"}, "is not a URL"),
    ],
)
def test_mistakes_in_a_declaration_are_named(document: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        KINDS["channel"].validate({"webhook": document})


def test_references_are_welcome_everywhere() -> None:
    target = {"url": "https://u:${env:P}@h.example/", "headers": {"Authorization": "Bearer ${env:T}"}}
    assert KINDS["channel"].validate({"webhook": target}).to_document() == {"webhook": target}

"""What a person is shown of an answer: bounded, text only, without credentials."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

from mainstay.integrations.checks.certificate_paths import path_of
from mainstay.integrations.checks.certificates import CHAIN_LIMIT, describe_chain
from mainstay.integrations.checks.http.credentials import shown_url
from mainstay.integrations.checks.progress import excerpt

if TYPE_CHECKING:
    from mainstay.integrations.checks.http.expectations import Answer
    from mainstay.kernel.masking import Masker

# Headers that tell something about a failure and carry no session.
_SHOWN_HEADERS = (
    "content-type",
    "content-length",
    "content-encoding",
    "last-modified",
    "server",
    "date",
    "location",
    "retry-after",
    "via",
    "age",
    "x-cache",
    "x-request-id",
    "cf-ray",
    "www-authenticate",
)
_HEADER_LIMIT = 200  # characters of one header
_MASKED_LENGTH = 4000  # characters that are looked through for secrets before the excerpt is cut


def of_headers(answer: Answer, masker: Masker) -> dict[str, Any]:
    """The headers that tell something, also of a good answer where somebody looks (`detail` in the order)."""
    headers = {
        name: masker.text(answer.headers[name][:_HEADER_LIMIT]) for name in _SHOWN_HEADERS if name in answer.headers
    }
    if "location" in headers:
        headers["location"] = shown_url(headers["location"])
    return {"headers": headers} if headers else {}


def of_failure(answer: Answer, masker: Masker) -> dict[str, Any]:
    """Header and body excerpts."""
    found = of_headers(answer, masker)
    if answer.kept and _is_text(answer):
        found["excerpt"] = excerpt(masker.text(answer.text[:_MASKED_LENGTH]))
    return found


def _is_text(answer: Answer) -> bool:
    kind = answer.headers.get("content-type", "text/").lower()
    readable = kind.startswith("text/") or any(word in kind for word in ("json", "xml", "javascript", "form"))
    return readable and "\0" not in answer.text[:_MASKED_LENGTH]


def path(told: Any, ca: str, ca_file: str, now: float) -> list[dict[str, Any]]:
    """The certificates that count, the server's own first, from libcurl's CERTINFO; see `certificate_paths`."""
    pems = (str(dict(fields).get("Cert", "")) for fields in (told or ())[:CHAIN_LIMIT])
    sent = [ssl.PEM_cert_to_DER_cert(pem) for pem in pems if pem]
    return [fact for fact in describe_chain(path_of(sent, ca, ca_file, now), now) if "not_after" in fact]


def certificate(of: list[dict[str, Any]]) -> dict[str, Any]:
    """The server's own certificate in short, and the one above it that ends first where that ends before it."""
    first = min(of, key=lambda fact: float(fact["not_after"]))
    found = _short(of[0])
    return found if first is of[0] else found | {"first_to_end": _short(first)}


def _short(fact: dict[str, Any]) -> dict[str, Any]:
    return {
        "subject": fact["subject"][:300],
        "issuer": fact["issuer"][:300],
        "not_after": fact["not_after"],
        "days_left": fact["days_left"],
    }

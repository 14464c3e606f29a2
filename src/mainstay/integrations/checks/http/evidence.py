"""What a person is shown of an answer: bounded, text only, without credentials."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from mainstay.integrations.checks.http.credentials import mask, shown_url
from mainstay.integrations.checks.progress import excerpt

if TYPE_CHECKING:
    from mainstay.integrations.checks.http.expectations import Answer

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
_DAY = 86_400.0


def of_headers(answer: Answer, secrets: tuple[str, ...]) -> dict[str, Any]:
    """The headers that tell something, also of a good answer where somebody looks (`detail` in the order)."""
    headers = {
        name: mask(answer.headers[name][:_HEADER_LIMIT], secrets) for name in _SHOWN_HEADERS if name in answer.headers
    }
    if "location" in headers:
        headers["location"] = shown_url(headers["location"])
    return {"headers": headers} if headers else {}


def of_failure(answer: Answer, secrets: tuple[str, ...]) -> dict[str, Any]:
    """Header and body excerpts."""
    found = of_headers(answer, secrets)
    if answer.kept and _is_text(answer):
        found["excerpt"] = excerpt(mask(answer.text[:_MASKED_LENGTH], secrets))
    return found


def _is_text(answer: Answer) -> bool:
    kind = answer.headers.get("content-type", "text/").lower()
    readable = kind.startswith("text/") or any(word in kind for word in ("json", "xml", "javascript", "form"))
    return readable and "\0" not in answer.text[:_MASKED_LENGTH]


def certificate(chain: Any, now: float | None = None) -> dict[str, Any] | None:
    """Subject, issuer and days left of the server's own certificate, from libcurl's CERTINFO; None if unreadable."""
    if not chain:
        return None
    fields = dict(chain[0])
    ends = _instant(str(fields.get("Expire date", "")))
    if ends is None:
        return None
    left = (ends - (time.time() if now is None else now)) / _DAY
    return {
        "subject": str(fields.get("Subject", ""))[:300],
        "issuer": str(fields.get("Issuer", ""))[:300],
        "not_after": ends,
        "days_left": round(left, 2),
    }


def _instant(text: str) -> float | None:
    """Epoch seconds of OpenSSL's `Jun  1 12:00:00 2030 GMT`."""
    try:
        moment = datetime.strptime(" ".join(text.split()), "%b %d %H:%M:%S %Y GMT").replace(tzinfo=UTC)
    except ValueError:
        return None
    return moment.timestamp()

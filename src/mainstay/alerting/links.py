"""Links in messages. The acknowledge link is signed: whoever holds it may acknowledge that one alert, for a week.

    token = <alert id>.<expiry, base 36>.<HMAC-SHA256 of purpose, id and expiry, 128 bits, base64url>

The same message always carries the same token, so that a repeated delivery has the same body.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import TYPE_CHECKING

from django.conf import settings

from mainstay.kernel.errors import NotFound
from mainstay.kernel.resource import KINDS
from mainstay.kernel.wording import label_links

if TYPE_CHECKING:
    from mainstay.alerting.models import AlertRow

LIFETIME = 7 * 86_400
_PURPOSE = b"mainstay acknowledge v1"
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def sign(alert_id: str, issued: float, key: str) -> str:
    expiry = _base36(int(issued) + LIFETIME)
    return f"{alert_id}.{expiry}.{_mac(alert_id, expiry, key)}"


def verify(token: str, now: float, key: str) -> str:
    """The alert's id. NotFound if the token is forged, malformed or too old: nobody learns which."""
    alert_id, expiry, mac = parts if len(parts := token.split(".")) == 3 and len(token) < 200 else ("", "", "")
    genuine = token.isascii() and hmac.compare_digest(_mac(alert_id, expiry, key), mac)
    if not genuine or int(expiry, 36) < now:
        raise NotFound("this link is no longer valid", hint="open the alert in Mainstay instead")
    return alert_id


def acknowledge_token(alert_id: str, issued: float) -> str:
    return sign(alert_id, issued, settings.SECRET_KEY)


def alert_of(token: str, now: float) -> str:
    return verify(token, now, settings.SECRET_KEY)


def links_of(base_url: str, alert: AlertRow, issued: float) -> dict[str, str]:
    """Absolute URLs: what is wrong, the alert, taking it, and those in its labels, such as `runbook`."""
    page = KINDS.page_of(alert.subject)
    links = {"monitor": base_url + page} if page else {}
    links["alert"] = f"{base_url}/alerts/{alert.id}/"
    links["acknowledge"] = f"{base_url}/a/{acknowledge_token(alert.id, issued)}"
    return links | label_links(alert.labels)


def test_links(base_url: str) -> dict[str, str]:
    return {"alert": f"{base_url}/channels/"}


def _mac(alert_id: str, expiry: str, key: str) -> str:
    derived = hashlib.sha256(_PURPOSE + key.encode()).digest()
    digest = hmac.new(derived, f"{alert_id}.{expiry}".encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest[:16]).rstrip(b"=").decode()


def _base36(number: int) -> str:
    text = ""
    while number:
        number, digit = divmod(number, 36)
        text = _DIGITS[digit] + text
    return text

"""Browsers that a person has signed in with before.

Two cookies, each signed, each worthless without a password or passkey:
- the *device* tells a browser that this person has used from strangers', so that strangers who guess passwords from
  elsewhere cannot lock the person out (the device cookies that OWASP describes);
- the *remembered* one, set when asked for, skips the second step. It is allauth's, and dies with any change of the
  password or of a second factor.
"""

from __future__ import annotations

import ipaddress
import secrets
from typing import TYPE_CHECKING

from django.conf import settings
from django.core import signing

from mainstay.accounts.allauth_internals import trust
from mainstay.accounts.models import User

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

_SALT = "mainstay.accounts.device"
_DEVICE_SECONDS = 180 * 86_400
_WISH = "_mainstay_remember"


def known_device(request: HttpRequest, email: str) -> str:
    """The id of this browser if the account of this address has signed in with it before; else empty."""
    text = request.COOKIES.get(settings.DEVICE_COOKIE_NAME, "")
    if not text or len(text) > 1000:
        return ""
    try:
        marks = signing.loads(text, salt=_SALT, max_age=_DEVICE_SECONDS)
    except signing.BadSignature:
        return ""
    return str(marks["id"]) if email.strip().lower() in marks["emails"] else ""


def note_device(request: HttpRequest, response: HttpResponse, user: User) -> None:
    """Let this browser be known to the account from now on; it may be known to a few."""
    text = request.COOKIES.get(settings.DEVICE_COOKIE_NAME, "")
    try:
        marks = signing.loads(text, salt=_SALT, max_age=_DEVICE_SECONDS) if len(text) <= 1000 else {}
    except signing.BadSignature:
        marks = {}
    emails = [user.email, *(email for email in marks.get("emails", ()) if email != user.email)][:3]
    value = signing.dumps({"id": marks.get("id") or secrets.token_hex(8), "emails": emails}, salt=_SALT, compress=True)
    response.set_cookie(
        settings.DEVICE_COOKIE_NAME,
        value,
        max_age=_DEVICE_SECONDS,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def wish_to_remember(request: HttpRequest, *, wanted: bool) -> None:
    """Note, until the sign-in of this request is done, whether its second step shall be skipped next time."""
    setattr(request, _WISH, wanted)


def remember_if_wished(request: HttpRequest, response: HttpResponse, user: User) -> None:
    if getattr(request, _WISH, False):
        trust.trust_browser(request, user, response)


def network_of(address: str) -> str:
    """What attempts are counted by: an IPv4 address, or the /64 that one customer has of IPv6."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address[:60]
    if isinstance(found, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)

"""Status badges: their look, their addresses that nobody can guess, and what they say.

    /badge/<badge key>/<signature>/<tag>.<format>      all heartbeats with a tag: up, late, down
    /badge/<badge key>/<signature>.<format>            all heartbeats
    /b/<2 or 3>/<key of one heartbeat>.<format>        one heartbeat

`-2` after the signature takes late for up, `-3` or nothing tells three states. Formats are svg, json and shields
(https://shields.io/badges/endpoint-badge). The addresses follow from the install's secret key: nothing is stored,
and a ping address cannot be told from them. The look is that of flat badges: 20 pixels high, Verdana 11.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote
from uuid import UUID
from xml.sax.saxutils import escape

from django.conf import settings

from mainstay.heartbeats.queries import HeartbeatView

BadgeStatus = Literal["up", "late", "down"]
FORMATS = ("svg", "json", "shields")
COLORS: dict[BadgeStatus, str] = {"up": "#4c1", "late": "#fe7d37", "down": "#e05d44"}
_SHIELDS: dict[BadgeStatus, str] = {"up": "success", "late": "important", "down": "critical"}
_PADDING = 10  # pixels, both sides of a text together

# Advance widths of Verdana at 11 pixels, by groups of signs that share one.
_WIDTHS = {
    sign: width
    for signs, width in (
        ("ijl", 3.1),
        ("I|'.,:; f", 4.2),
        ("rt-()/!J[]", 4.8),
        ("cszL", 5.9),
        ("aekvxyoFPEY_", 6.7),
        ("bdghnpqu0123456789T", 7.0),
        ("ABCKSVXZRH$?", 7.7),
        ("DGNOQUw", 8.6),
        ("mMW%@", 10.9),
    )
    for sign in signs
}
_USUAL = 7.2


@dataclass(frozen=True, slots=True)
class Tally:
    """What a badge says: counted over its heartbeats."""

    status: BadgeStatus
    total: int
    grace: int
    down: int


def tally(views: Iterable[HeartbeatView], *, states: int) -> Tally:
    """Unknown is neither up nor down and counts as late; with two states late is up."""
    total = grace = down = 0
    for view in views:
        total += 1
        down += view.state == "down"
        grace += view.late or (view.state == "unknown" and view.reason != "resumed")
    late = grace > 0 and states == 3
    return Tally("down" if down else "late" if late else "up", total, grace, down)


def text_width(text: str) -> float:
    return sum(_WIDTHS.get(sign, _USUAL) for sign in text)


def badge_svg(label: str, message: str, color: str, label_color: str = "#555") -> str:
    """A flat badge; an empty label leaves only the message. Colours must be checked by the caller."""
    left = round(text_width(label)) + _PADDING if label else 0
    right = round(text_width(message)) + _PADDING
    title = escape(f"{label}: {message}" if label else message, {'"': "&quot;"})
    texts = (_text(label, left / 2) if label else "") + _text(message, left + right / 2)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="20" role="img" aria-label="{title}">'
        f"<title>{title}</title>"
        '<linearGradient id="s" x2="0" y2="100%"><stop offset="0" stop-color="#bbb" stop-opacity=".1"/>'
        '<stop offset="1" stop-opacity=".1"/></linearGradient>'
        f'<clipPath id="r"><rect width="{left + right}" height="20" rx="3" fill="#fff"/></clipPath>'
        f'<g clip-path="url(#r)"><rect width="{left}" height="20" fill="{label_color}"/>'
        f'<rect x="{left}" width="{right}" height="20" fill="{color}"/>'
        f'<rect width="{left + right}" height="20" fill="url(#s)"/></g>'
        '<g fill="#fff" text-anchor="middle" font-family="Verdana,Geneva,DejaVu Sans,sans-serif" '
        f'text-rendering="geometricPrecision" font-size="11">{texts}</g></svg>'
    )


def _text(text: str, middle: float) -> str:
    shown = escape(text)
    return (
        f'<text x="{middle:g}" y="15" fill="#010101" fill-opacity=".3" aria-hidden="true">{shown}</text>'
        f'<text x="{middle:g}" y="14">{shown}</text>'
    )


def rendered(found: Tally, label: str, form: str) -> tuple[str | dict[str, Any], str]:
    """(content, media type) in one of FORMATS."""
    if form == "svg":
        return badge_svg(label, found.status, COLORS[found.status]), "image/svg+xml"
    if form == "shields":
        shields = {"schemaVersion": 1, "label": label, "message": found.status, "color": _SHIELDS[found.status]}
        return shields, "application/json"
    counts = {"status": found.status, "total": found.total, "grace": found.grace, "down": found.down}
    return counts, "application/json"


# Addresses ---------------------------------------------------------------------------------------------------


def _secret(purpose: str, text: str) -> bytes:
    key = hashlib.sha256(f"mainstay badges:{settings.SECRET_KEY}".encode()).digest()
    return hmac.new(key, f"{purpose}:{text}".encode(), hashlib.sha256).digest()


def badge_key() -> str:
    """The key of all badges of this install."""
    return str(UUID(bytes=_secret("install", "")[:16], version=4))


def check_badge_key(uid: str) -> str:
    """The key of the badge of one heartbeat."""
    return str(UUID(bytes=_secret("heartbeat", uid)[:16], version=4))


def signature(tag: str) -> str:
    return base64.urlsafe_b64encode(_secret("tag", tag)).decode()[:8]


def fits(key: str, signed: str, tag: str) -> bool:
    """Whether an address with this key and signature (without its `-2`) is one of ours."""
    return hmac.compare_digest(key.encode(), badge_key().encode()) and hmac.compare_digest(
        signed.encode(), signature(tag).encode()
    )


def tag_badges(base_url: str, tag: str) -> dict[str, str]:
    """Addresses of all forms of a tag's badge, as the API lists them; `*` stands for all heartbeats."""
    signed, name = signature(tag), "" if tag == "*" else f"/{quote(tag, safe='')}"
    root = f"{base_url}/badge/{badge_key()}/{signed}"
    two = {form: f"{root}-2{name}.{form}" for form in FORMATS}
    three = {f"{form}3": f"{root}{name}.{form}" for form in FORMATS}
    return {key: {**two, **three}[key] for form in FORMATS for key in (form, f"{form}3")}

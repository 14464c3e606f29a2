"""The feed of a status page: RSS 2.0 (https://www.rssboard.org/rss-specification), newest first."""

from __future__ import annotations

from email.utils import format_datetime
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, SubElement, register_namespace, tostring

from mainstay.kernel.clock import to_datetime
from mainstay.kernel.wording import lasting

if TYPE_CHECKING:
    from mainstay.statuspage.view import PublicIncident, PublicPage, PublicWindow

_ATOM = "http://www.w3.org/2005/Atom"
register_namespace("atom", _ATOM)


def rss(page: PublicPage) -> bytes:
    """The whole feed as UTF-8. An incident is one item while open and another when it is over."""
    root = Element("rss", {"version": "2.0"})
    channel = SubElement(root, "channel")
    _text(channel, "title", f"{page.title} status")
    _text(channel, "link", page.url)
    _text(channel, "description", page.description or f"Incidents and maintenance of {page.title}")
    SubElement(
        channel,
        f"{{{_ATOM}}}link",
        {"href": f"{page.url}/feed.xml", "rel": "self", "type": "application/rss+xml"},
    )
    newest = max((at for at, *_ in _items(page)), default=0.0)
    if newest:
        _text(channel, "lastBuildDate", format_datetime(to_datetime(newest)))
    _text(channel, "ttl", "5")
    for at, title, text, identity in sorted(_items(page), reverse=True)[:50]:
        item = SubElement(channel, "item")
        _text(item, "title", title)
        _text(item, "link", f"{page.url}#{identity.rpartition('-')[0]}")
        _text(item, "description", text)
        guid = SubElement(item, "guid", {"isPermaLink": "false"})
        guid.text = f"mainstay:{page.slug}:{identity}"
        _text(item, "pubDate", format_datetime(to_datetime(at)))
    body: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return body


def _items(page: PublicPage) -> list[tuple[float, str, str, str]]:
    """(when, title, text, identity) of everything that is told."""
    items = [item for incident in page.incidents for item in _of_incident(incident)]
    return items + [_of_window(window) for window in page.windows if window.active]


def _of_incident(incident: PublicIncident) -> list[tuple[float, str, str, str]]:
    # Readers show an identity once, and an outage that comes back is news.
    identity = incident.id if incident.outages == 1 else f"{incident.id}-{incident.outages}"
    began = (incident.since, incident.title, incident.words, f"{identity}-open")
    if incident.until is None:
        return [began]
    outages = f", with {incident.outages} outages" if incident.outages > 1 else ""
    text = f"It is over. It lasted {lasting(incident.until - incident.since)}{outages}."
    return [began, (incident.until, f"Resolved: {incident.title}", text, f"{identity}-resolved")]


def _of_window(window: PublicWindow) -> tuple[float, str, str, str]:
    until = to_datetime(window.until).strftime("%Y-%m-%d %H:%M UTC")
    return window.start, f"Maintenance: {window.title}", f"Planned until {until}.", f"{window.id}-{window.start:.0f}"


def _text(parent: Element, name: str, text: str) -> None:
    SubElement(parent, name).text = "".join(char if char.isprintable() else " " for char in text)

"""From a PublicPage to bytes: every address below its own, rendered, compressed and tagged once."""

from __future__ import annotations

import gzip
import hashlib
import json
from dataclasses import dataclass

from django.template.loader import render_to_string

from mainstay.statuspage.feed import rss
from mainstay.statuspage.rules import Condition, Indicator
from mainstay.statuspage.statuspage_v2 import documents
from mainstay.statuspage.view import PublicPage

Headers = list[tuple[bytes, bytes]]

# Which of the design's states a condition looks like.
LOOKS: dict[Condition | Indicator, str] = {
    "operational": "up",
    "degraded": "degraded",
    "partial": "down",
    "outage": "down",
    "maintenance": "maintenance",
    "unknown": "unknown",
    "none": "up",
    "minor": "degraded",
    "major": "down",
    "critical": "down",
}
_CACHE = b"public, max-age=5, stale-while-revalidate=30, stale-if-error=86400"


@dataclass(frozen=True, slots=True)
class Answer:
    """One ready answer; header lists are complete and never changed."""

    etag: bytes
    plain: bytes
    packed: bytes
    plain_headers: Headers
    packed_headers: Headers
    unchanged_headers: Headers


def answers(page: PublicPage) -> dict[str, Answer]:
    """Every answer of a page by its path."""
    root = f"/status/{page.slug}"
    html = answer(html_of(page).encode(), b"text/html; charset=utf-8")
    found = {root: html, f"{root}/": html}
    found[f"{root}/feed.xml"] = found[f"{root}/rss"] = answer(rss(page), b"application/rss+xml; charset=utf-8")
    for path, document in documents(page).items():
        body = json.dumps(document, ensure_ascii=False).encode()
        found[f"{root}/api/v2/{path}"] = answer(body, b"application/json; charset=utf-8", shared=True)
    return found


def html_of(page: PublicPage) -> str:
    context = {"page": page, "look": LOOKS[page.indicator], "looks": LOOKS}
    return render_to_string("statuspage/page.html", context)


def missing_html() -> str:
    return render_to_string("statuspage/missing.html")


def answer(body: bytes, kind: bytes, *, shared: bool = False) -> Answer:
    """shared: scripts of other sites may read it, as Statuspage allows for its JSON."""
    etag = b'"' + hashlib.sha256(body).hexdigest()[:24].encode() + b'"'
    packed = gzip.compress(body, compresslevel=6, mtime=0)
    common = [(b"content-type", kind), (b"cache-control", _CACHE), (b"etag", etag), (b"vary", b"accept-encoding")]
    if shared:
        common += [(b"access-control-allow-origin", b"*"), (b"cross-origin-resource-policy", b"cross-origin")]
    return Answer(
        etag,
        body,
        packed,
        [*common, (b"content-length", str(len(body)).encode())],
        [*common, (b"content-encoding", b"gzip"), (b"content-length", str(len(packed)).encode())],
        common[1:],
    )

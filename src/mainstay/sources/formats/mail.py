"""Mail: its subject names the alert, and says that it is over by a word such as RESOLVED or OK.

Mails whose subjects differ in such words alone are about the same alert.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from mainstay.sources.formats.reading import (
    MESSAGE_LIMIT,
    TITLE_LIMIT,
    Batch,
    Malformed,
    end_of,
    mapping,
    plain,
    report_of,
)
from mainstay.sources.rules import WORDS, Order

if TYPE_CHECKING:
    from mainstay.sources.spec import Target

_OVER = re.compile(r"\b(?:resolved|recovered|recovery|closed|cleared|ok|up|ended|normal)\b", re.IGNORECASE)
_STATE = re.compile(
    r"\b(?:re|fwd?|firing|problem|alert|alarm|triggered|open|down|failed|failure|is|service|host)\b", re.IGNORECASE
)
_COUNTED = re.compile(r"\b(firing|resolved):\d+", re.IGNORECASE)  # as Alertmanager and Grafana begin a subject
_SIGNS = re.compile(r"[\W_]+")


def read(mail: dict[str, Any], target: Target, now: float) -> Batch:
    """`mail`: subject, from, headers and text, as `doors.mail_reader` gives them."""
    subject = plain(mail.get("subject"), TITLE_LIMIT)
    if not subject:
        raise Malformed("the mail has no subject")
    key = key_of(subject)
    if _OVER.search(subject):
        return Batch([Order(key, "resolve")])
    headers = mapping(mail.get("headers"))
    labels = {"alertname": subject, "from": mail.get("from"), "list": headers.get("list-id")}
    ends_at, guessed = end_of(target, None, now)
    report = report_of(
        target,
        mail,
        labels,
        headers.get("x-severity") or _word(subject),
        starts_at=now,
        ends_at=ends_at,
        guessed=guessed,
        key=key,
        title=subject,
        message=plain(mail.get("text"), MESSAGE_LIMIT),
    )
    return Batch([report])


def key_of(subject: str) -> str:
    """What a subject is about, without the words for how that is."""
    counted = _COUNTED.sub(r"\1", subject)
    words = _SIGNS.sub(" ", _STATE.sub(" ", _OVER.sub(" ", counted))).lower().split()
    return " ".join(word for word in words if word not in WORDS)[:500] or subject.lower()


def _word(subject: str) -> str:
    """The first word of the subject that is a severity."""
    words = re.findall(r"\w+", subject.lower())
    return next((word for word in words if word in WORDS or re.fullmatch("p[0-3]", word)), "")

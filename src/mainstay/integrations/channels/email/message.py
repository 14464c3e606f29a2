"""The mail itself: plain text, and HTML that reads well on a phone, in the dark, and with pictures off.

Its Message-ID is made from the notification, so a repeat after a crash can be seen as one; later messages about
the same alert refer to the first one, so that mail readers show them as one thread.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, formataddr
from functools import cache
from html import escape
from importlib import resources
from string import Template

from mainstay.kernel.clock import to_datetime
from mainstay.kernel.ports import Notification
from mainstay.kernel.wording import facts, heading, link_name, one_line, plain_text

_ADDRESS = re.compile(r"https?://(?:&amp;|[^\s<>&\"'()])+(?<![.,;:!?])")  # in text that is escaped already
_WORD = 42  # bytes of text in an encoded word, which then has 68 characters of the 75 that it may have
_COLOURS = {"firing": "#b3261e", "resolved": "#2e7d32", "test": "#1565c0", "report": "#546e7a"}
_FIRST_LINKS = ("acknowledge", "monitor", "alert")
_FONT = "-apple-system, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif"

_FACT = (
    '<p class="quiet" style="margin:8px 0 0;font-size:13px;line-height:18px;color:#5b6673;">{question}</p>'
    '<p class="text" style="margin:0;font-size:16px;line-height:22px;color:#1a2027;'
    'overflow-wrap:anywhere;">{answer}</p>'
)
_BUTTON = (
    '<a href="{url}" {looks}display:inline-block;margin:8px 8px 0 0;padding:12px 20px;border-radius:6px;'
    'font-size:16px;text-decoration:none;">{name}</a>'
)
_FIRST = 'style="border:1px solid {colour};background:{colour};color:#ffffff;'
_OTHER = 'class="second" style="border:1px solid #b8c0ca;color:#1f4fa3;'


@cache
def _page() -> Template:
    """The page. Readers that know media queries follow their own scheme; the light one stands inline for the others."""
    return Template((resources.files(__package__) / "message.html").read_text("utf-8"))


@dataclass(slots=True)
class Envelope:
    """From whom and to whom, the addresses as mail servers know them; `name` is the sender's, for people."""

    name: str
    sender: str
    recipients: list[str]

    @property
    def is_ascii(self) -> bool:
        return all(address.isascii() for address in (self.sender, *self.recipients))


def compose(message: Notification, envelope: Envelope, now: float) -> bytes:
    """The whole mail as it goes over the wire (CRLF, folded headers)."""
    mail = EmailMessage(policy=SMTP)
    domain = envelope.sender.rpartition("@")[2]
    mail["Date"] = format_datetime(to_datetime(now))
    mail["Message-ID"] = f"<{message.id}@{domain}>"
    if message.thread and message.thread != message.id:
        mail["In-Reply-To"] = mail["References"] = f"<{message.thread}@{domain}>"
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no vacation notes in return
    if message.status == "firing" and message.alert.get("severity") in ("P0", "P1"):
        mail["Importance"] = "high"
    mail.set_content(plain_text(message, now) + "\n", cte="quoted-printable")
    mail.add_alternative(html_of(message, now), subtype="html", cte="quoted-printable")
    return _head(envelope, one_line(heading(message), 180)).encode() + mail.as_bytes()


def _head(envelope: Envelope, subject: str) -> str:
    """The headers with text of people, written here: the library loses and doubles blanks where it folds them."""
    name = envelope.name or "Mainstay"
    shown = formataddr((name, "")).removesuffix(" <>") if _is_plain(name) else encoded(name)
    recipients = ",\r\n ".join(envelope.recipients)
    return f"From: {shown}\r\n <{envelope.sender}>\r\nTo: {recipients}\r\nSubject: {encoded(subject)}\r\n"


def encoded(text: str) -> str:
    """A text of one line as a header holds it: as it is, or in encoded words (RFC 2047), each of whole characters.

    Blanks between encoded words are no part of the text, so nothing is lost or added where a line is folded.
    """
    if _is_plain(text):
        return text
    words, part = [], b""
    for char in text:
        if len(part) + len(char.encode()) > _WORD:
            words.append(part)
            part = b""
        part += char.encode()
    words.append(part)
    return "\r\n ".join(f"=?utf-8?b?{base64.b64encode(word).decode()}?=" for word in words)


def _is_plain(text: str) -> bool:
    """Whether it needs no encoding: short enough for a line, ASCII, and not what looks encoded."""
    return text.isascii() and text.isprintable() and "=?" not in text and text == text.strip() and len(text) < 900


def html_of(message: Notification, now: float) -> str:
    colour = _COLOURS[message.status]
    severity = message.alert.get("severity", "")
    label = {"firing": f"{severity} alert", "resolved": "Resolved", "test": "Test", "report": "Report"}
    found = facts(message, now)
    return _page().substitute(
        title=escape(one_line(message.alert.get("title", "Mainstay"))),
        preview=escape(one_line(message.alert.get("summary", ""))),
        label=escape(label[message.status].strip()),
        colour=colour,
        font=escape(_FONT),
        facts="".join(_FACT.format(question=escape(name), answer=_answer(name, text)) for name, text in found),
        buttons=_buttons(message.links, colour),
    )


def _answer(question: str, text: str) -> str:
    """Addresses can be followed in what is declared only; the rest is written by others."""
    if question == "Output":
        return f'<span style="white-space:pre-wrap;font-family:monospace;font-size:13px;">{escape(text)}</span>'
    shown = "<br>".join(escape(line) for line in text.splitlines())
    return _ADDRESS.sub(r'<a href="\g<0>">\g<0></a>', shown) if question == "Description" else shown


def _buttons(links: Mapping[str, str], colour: str) -> str:
    """The first one is what a woken person does first."""
    order = [name for name in _FIRST_LINKS if name in links]
    order += [name for name in links if name not in order]
    return "".join(
        _BUTTON.format(
            url=escape(links[name], quote=True),
            name=escape(link_name(name)),
            looks=_OTHER if index else _FIRST.format(colour=colour),
        )
        for index, name in enumerate(order)
    )

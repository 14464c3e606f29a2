"""A process of its own that reads one mail from its input and writes the text in which keywords are looked for.

Parsers take quadratic time, and much memory, over mail that is made to hurt them. Here only this process pays: it ends
when its seconds or bytes are used up, and what it wrote until then counts. Whatever a parser raises ends it, too.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterator
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default as policy
from html.parser import HTMLParser
from typing import Any

READ = 1024 * 1024  # bytes of a mail
SECONDS = 1  # of computing
MEMORY = 512 * 1024 * 1024  # bytes, the interpreter's own included
_HTML_READ = 100_000  # signs of its page
_SLOW_CHARSETS = ("punycode", "idna")  # codecs of Python that take quadratic time


def words(mail: bytes, *, subject: bool, body: bool) -> Iterator[str]:
    """Subject, plain text and page, as far as they are wanted. Raises what the parsers of the library raise."""
    message = message_from_bytes(mail[:READ], policy=policy)
    if subject:
        yield str(message.get("subject", ""))
    for kind in ("plain", "html") if body and isinstance(message, EmailMessage) else ():
        part = message.get_body((kind,))
        if part is not None and str(part.get_content_charset()).lower() not in _SLOW_CHARSETS:
            content = str(part.get_content())
            yield _plain(content) if kind == "html" else content


class _Words(HTMLParser):
    """Collects what a reader of the page would see."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.words: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: Any) -> None:  # noqa: ARG002  the signature is the library's
        self._hidden += tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in ("script", "style") and self._hidden > 0

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.words.append(data)


def _plain(html: str) -> str:
    reader = _Words()
    try:
        reader.feed(html[:_HTML_READ])
        reader.close()
    except AssertionError:  # what the library raises for `<![ foo`
        pass
    return " ".join("".join(reader.words).split())


def main() -> None:
    """`python -m mainstay.heartbeats.doors.mail_words subject body`, with the mail as input."""
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for text in words(sys.stdin.buffer.read(READ), subject="subject" in sys.argv, body="body" in sys.argv):
        sys.stdout.buffer.write(text.encode("utf-8", "replace") + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()

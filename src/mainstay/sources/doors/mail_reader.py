"""A process of its own that reads one mail from its input and writes its subject, its headers and its text as JSON.

Bounded as the readers of pings by mail are (`heartbeats.doors.mail_words`), and for the same reason.
"""

from __future__ import annotations

import json
import resource
import sys
from email import message_from_bytes
from email.policy import default as policy

from mainstay.heartbeats.doors.mail_words import MEMORY, READ, SECONDS, words

HEADERS, HEADER, TEXT = 60, 500, 2000  # headers, and characters of one and of the text


def read(mail: bytes) -> dict[str, object]:
    """Headers by their names in lower case. Raises what the parsers of the library raise."""
    message = message_from_bytes(mail[:READ], policy=policy)
    headers = {str(name).lower(): " ".join(str(value).split())[:HEADER] for name, value in message.items()[:HEADERS]}
    text = " ".join(part for part in words(mail, subject=False, body=True))
    return {
        "subject": headers.get("subject", ""),
        "from": headers.get("from", ""),
        "headers": headers,
        "text": text[:TEXT],
    }


def main() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.stdout.write(json.dumps(read(sys.stdin.buffer.read(READ))))


if __name__ == "__main__":
    main()

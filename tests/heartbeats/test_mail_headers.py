from __future__ import annotations

from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.utils import parseaddr

from hypothesis import example, given
from hypothesis import strategies as st
from tests.rigs.channel_rigs import notification

from mainstay.integrations.channels.email.message import Envelope, compose, encoded

# What `one_line` leaves: printable, single blanks inside.
_WORDS = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=60)
_LINES = st.lists(_WORDS, min_size=1, max_size=12).map(" ".join)


def _read(raw: bytes) -> EmailMessage:
    read = message_from_bytes(raw, policy=policy.default)
    assert isinstance(read, EmailMessage)
    return read


@given(_LINES)
@example("ü " * 60 + "end")
@example("=?utf-8?q?not_encoded?= but looks so")
@example("wörter " + "x" * 200 + " größe")
def test_a_header_reads_as_it_was_written(text: str) -> None:
    raw = f"Subject: {encoded(text)}\r\n\r\n".encode("ascii")
    assert _read(raw)["Subject"] == text
    assert max(map(len, raw.splitlines())) <= 998
    if not text.isascii():
        assert max(map(len, raw.splitlines())) <= 78


@given(_LINES)
def test_a_sender_reads_as_it_was_written(name: str) -> None:
    raw = compose(notification(), Envelope(name, "ops@example.org", ["a@example.org", "b@example.org"]), 1_800_000_000)
    mail = _read(raw)
    # Not `display_name`: the library's newer reader puts blanks between encoded words of a phrase.
    shown, address = parseaddr(message_from_bytes(raw)["From"])
    assert (str(make_header(decode_header(shown))), address) == (name, "ops@example.org")
    assert [one.addr_spec for one in mail["To"].addresses] == ["a@example.org", "b@example.org"]
    assert mail["Subject"] == "[P1] api is down"

"""Handing one message to one channel: secrets filled in just before, and kept out of whatever comes back."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from mainstay.kernel.errors import MainstayError, Refused, RemoteError, Unavailable
from mainstay.kernel.ports import DeliveryContext, Notification, Receipt
from mainstay.kernel.secret import SecretMissing, references
from mainstay.store.secrets import SecretSource

if TYPE_CHECKING:
    from mainstay.alerting.spec import ChannelSpec
    from mainstay.kernel.settings import Settings

TIMEOUT = 10.0  # seconds for one delivery, all of it
_SHORTEST_SECRET = 4  # shorter values would blot out ordinary words
_SEPARATORS = re.compile(r"[/:@?&=+#]+")
_TOKEN = re.compile(r"(?=.*[0-9]).{8,}|.{16,}")  # what looks like a key and not like a word


@lru_cache(maxsize=4)
def _source(settings: Settings) -> SecretSource:
    return SecretSource(settings)


def hand_over(spec: ChannelSpec, message: Notification, settings: Settings, now: float) -> Receipt:
    """Deliver on this thread. Refused or Unavailable if not; a missing secret may turn up, so it is Unavailable."""
    document = spec.target.model_dump(mode="json", by_alias=True)
    source = _source(settings)
    try:
        target = source.fill(document)
        hidden = [source.lookup(*reference) for reference in references(document)]
    except SecretMissing as error:
        raise Unavailable(str(error), hint="give it to the server; messages wait until then") from None
    try:
        receipt = spec.channel.load()(target, message, DeliveryContext(settings, now, TIMEOUT))
    except RemoteError as error:
        raise _without(error, hidden) from None
    return Receipt(redact(receipt.detail, hidden), _clean(receipt.data, hidden))


def redact(text: str, hidden: list[str]) -> str:
    """The text with every secret value, each line of one and each telling part of a URL replaced by `***`."""
    for value in sorted(_pieces(hidden), key=len, reverse=True):
        text = text.replace(value, "***")
    return text


def _pieces(hidden: list[str]) -> set[str]:
    """Secrets as they may be echoed: whole, by line, percent-encoded or decoded, and the tokens inside a URL."""
    pieces = set()
    for value in hidden:
        tokens = [part for part in _SEPARATORS.split(value) if _TOKEN.fullmatch(part)] if "://" in value else []
        for part in (value, *value.splitlines(), *tokens):
            pieces |= {part, quote(part, safe=""), quote(part), unquote(part)}
    return {piece for piece in pieces if len(piece) >= _SHORTEST_SECRET}


def _clean(data: dict[str, Any], hidden: list[str]) -> dict[str, Any]:
    return {key: redact(value, hidden) if isinstance(value, str) else value for key, value in data.items()}


def _without(error: RemoteError, hidden: list[str]) -> MainstayError:
    message, hint = redact(error.message, hidden), redact(error.hint, hidden)
    if isinstance(error, Unavailable):
        return Unavailable(message, hint=hint, retry_after=error.retry_after)
    return Refused(message, hint=hint)

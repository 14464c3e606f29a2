"""Handing one message to one channel: secrets filled in just before, and kept out of whatever comes back."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from mainstay.alerting.push_key import private_key
from mainstay.alerting.settings import CHANNEL_PROXY
from mainstay.kernel.errors import MainstayError, Refused, RemoteError, Unavailable
from mainstay.kernel.masking import Masker
from mainstay.kernel.ports import DeliveryContext, Notification, Receipt
from mainstay.kernel.secret import SecretMissing
from mainstay.store.secrets import SecretSource

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mainstay.alerting.spec import ChannelSpec
    from mainstay.kernel.settings import Settings

TIMEOUT = 10.0  # seconds for one delivery, all of it


@lru_cache(maxsize=4)
def _source(settings: Settings) -> SecretSource:
    return SecretSource(settings)


def look_up_secrets(spec: ChannelSpec, settings: Settings) -> None:
    """Have in memory what the channel's references stand for in the vault, for when the database cannot be read."""
    _source(settings).missing(_document(spec, settings))


def hand_over(
    spec: ChannelSpec,
    message: Notification,
    settings: Settings,
    now: float,
    devices: Sequence[Mapping[str, str]] = (),
) -> Receipt:
    """Deliver on this thread. Refused or Unavailable if not; a missing secret may turn up, so it is Unavailable.

    devices: those of the accounts that a push goes to.
    """
    document, source = _document(spec, settings), _source(settings)
    try:
        filled = source.fill(document)
        masker = Masker(source.values(document))
    except SecretMissing as error:
        raise Unavailable(str(error), hint="give it to the server; messages wait until then") from None
    proxy = "" if filled["proxy"] == "direct" else filled["proxy"]
    if spec.channel.name == "push":
        filled["target"] |= {"devices": devices, "key": private_key(), "contact": _contact(filled["target"], settings)}
    try:
        receipt = spec.channel.load()(filled["target"], message, DeliveryContext(settings, now, TIMEOUT, proxy))
    except RemoteError as error:
        raise _without(error, masker) from None
    return Receipt(masker.text(receipt.detail), masker.value(receipt.data))


def _contact(target: Mapping[str, Any], settings: Settings) -> str:
    """Where a push service finds whoever runs this server: an https or a mailto address (RFC 8292, 2.1)."""
    return settings.base_url if settings.base_url.startswith("https:") else f"mailto:{target['accounts'][0]}"


def _document(spec: ChannelSpec, settings: Settings) -> dict[str, Any]:
    target = spec.target.model_dump(mode="json", by_alias=True)
    if "smtp" in target and target["smtp"] is None:
        target["smtp"] = settings.smtp  # which may hold a reference as well
    return {"target": target, "proxy": spec.proxy or settings[CHANNEL_PROXY]}


def _without(error: RemoteError, masker: Masker) -> MainstayError:
    message, hint = masker.text(error.message), masker.text(error.hint)
    if isinstance(error, Unavailable):
        return Unavailable(message, hint=hint, retry_after=error.retry_after)
    return Refused(message, hint=hint, gone=error.gone if isinstance(error, Refused) else ())

"""Devices on which people switched notifications on: browsers, each known by the address that its push service gave."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from django.contrib.auth import get_user_model

from mainstay.alerting.events import DeviceAdded, DeviceRemoved
from mainstay.alerting.models import DeviceRow
from mainstay.kernel.errors import Conflict, Forbidden, UserError
from mainstay.kernel.ids import new_id
from mainstay.kernel.wording import one_line
from mainstay.store.work import unit_of_work

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from mainstay.accounts.models import User
    from mainstay.alerting.spec import ChannelSpec
    from mainstay.kernel.actor import Actor
    from mainstay.kernel.clock import Clock
    from mainstay.store.work import Work

MOST = 20  # of one account
_POINT, _SHARED = 65, 16  # bytes of the browser's keys (RFC 8291, 3)


def devices_for(spec: ChannelSpec) -> tuple[dict[str, str], ...]:
    """The devices of the accounts that a channel pushes to; none for channels of other kinds."""
    if spec.channel.name != "push":
        return ()
    found = DeviceRow.objects.filter(account__email__in=spec.target.accounts, account__is_active=True).order_by("id")
    rows = found.values_list("id", "endpoint", "p256dh", "auth")
    return tuple(dict(zip(("id", "endpoint", "p256dh", "auth"), row, strict=True)) for row in rows)


def own_devices(actor: Actor) -> list[DeviceRow]:
    """Those of the actor's account, oldest first."""
    actor.require_some("alerts:read")
    return list(DeviceRow.objects.filter(account=_account(actor)).order_by("id"))


def add_device(actor: Actor, subscription: object, label: str, clock: Clock | None = None) -> str:
    """Notify this device of what the actor's account is paged about; its id. A repeat changes nothing.

    subscription: what the browser's `PushSubscription.toJSON()` gives. A device belongs to whoever switched it on last.
    """
    actor.require_some("alerts:read")
    account = _account(actor)
    endpoint, p256dh, auth = _read(subscription)
    with unit_of_work(actor, clock) as work:
        row = DeviceRow.objects.select_for_update().filter(endpoint=endpoint).first()
        same = row is not None and (row.account_id, row.p256dh, row.auth) == (account.pk, p256dh, auth)
        if row is not None and same:
            return row.id
        if row is None and DeviceRow.objects.filter(account=account).count() >= MOST:
            raise Conflict(f"an account has at most {MOST} devices", hint="remove one that you do not use any more")
        row = row or DeviceRow(id=new_id(work.now), endpoint=endpoint, added_at=work.now)
        row.account, row.p256dh, row.auth = account, p256dh, auth
        row.label = one_line(label, 100) or "a browser"
        row.save()
        work.record(DeviceAdded(f"user/{account.email}", device=row.id, label=row.label))
        return row.id


def remove_device(actor: Actor, device_id: str, clock: Clock | None = None) -> None:
    """A repeat changes nothing, and so does an id that is another account's."""
    actor.require_some("alerts:read")
    account = _account(actor)
    with unit_of_work(actor, clock) as work:
        row = DeviceRow.objects.select_for_update().filter(id=device_id[:26], account=account).first()
        if row is not None:
            row.delete()
            reason = "its owner removed it"
            work.record(DeviceRemoved(f"user/{account.email}", device=device_id[:26], label=row.label, reason=reason))


def forget(work: Work, gone: Collection[str]) -> None:
    """Its push service knows a device no more: it was reset, or notifications were switched off there."""
    for row in DeviceRow.objects.filter(id__in=list(gone)).select_related("account").order_by("id") if gone else ():
        key = row.id
        row.delete()
        reason = "its push service knows it no more"
        work.record(DeviceRemoved(f"user/{row.account.email}", device=key, label=row.label, reason=reason))


def _account(actor: Actor) -> User:
    found = get_user_model().objects.filter(email=actor.name).first()
    if found is None or actor.kind != "user":
        raise Forbidden("only people have devices", hint="sign in with an account of your own")
    return found


def _read(subscription: object) -> tuple[str, str, str]:
    """Address and keys; UserError if it is no subscription that could be pushed to."""
    document: Mapping[str, object] = subscription if isinstance(subscription, dict) else {}
    endpoint, keys = document.get("endpoint"), document.get("keys")
    keys = keys if isinstance(keys, dict) else {}
    p256dh, auth = keys.get("p256dh"), keys.get("auth")
    if not isinstance(endpoint, str) or not _usable(endpoint):
        raise UserError("this is no address of a push service", hint="use a browser that has web push")
    if not _is_bytes(p256dh, _POINT) or not _is_bytes(auth, _SHARED):
        raise UserError("the browser's keys are not those of a push subscription", hint="switch it off and on again")
    return endpoint, str(p256dh), str(auth)


def _usable(endpoint: str) -> bool:
    """Whether it may be kept. Where it leads is looked at when it is used, as for every channel."""
    try:
        parts = urlsplit(endpoint)
    except ValueError:
        return False
    own = parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost")  # a push service of this machine
    return len(endpoint) <= 1000 and endpoint.isascii() and bool(parts.hostname) and (parts.scheme == "https" or own)


def _is_bytes(text: object, size: int) -> bool:
    if not isinstance(text, str) or len(text) > 100:
        return False
    try:
        return len(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)) == size
    except (ValueError, binascii.Error):
        return False

"""Delivery through Apprise (github.com/caronc/apprise), imported when the first message needs it.

Apprise answers yes or no; what it logs meanwhile is the reason that is shown. It makes its own connections, so the
guard looks at the host of the URL before and at each connection while it works, and redirects are off; a proxy that
the environment names is used and decides for itself. Services may show a repeat twice.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Mapping
from typing import Any

import apprise

from mainstay.integrations.addresses import Guard
from mainstay.integrations.guarded_sockets import guarded
from mainstay.kernel.errors import Refused, Unavailable
from mainstay.kernel.ports import DeliveryContext, Notification, Receipt
from mainstay.kernel.wording import heading, one_line, plain_text

_URGENT = frozenset({"P0", "P1"})


# Its own log would name what was tried, in parts of URLs; the reason of a failure is taken from the result instead.
logging.getLogger("apprise").propagate = False
logging.getLogger("apprise").addHandler(logging.NullHandler())


def deliver(target: Mapping[str, Any], message: Notification, context: DeliveryContext) -> Receipt:
    guard = Guard.from_settings(context.settings.probe_allow)
    service = _service(target["url"], context, guard)
    with (
        guarded(guard) as watch,
        service.notify(
            body=plain_text(message, context.now),
            title=heading(message),
            notify_type=_type_of(message),
            body_format=apprise.NotifyFormat.TEXT,
        ) as result,
    ):
        if result:
            return Receipt("accepted")
        if watch.refusal:
            raise Refused(watch.refusal)
        if result.timeout_count:
            raise Unavailable(f"it did not answer within {context.timeout:g} s")
        said = [entry.message for entry in result.logs() if entry.level in ("WARNING", "ERROR")]
    raise Unavailable(one_line(said[-1], 300) if said else "the service did not take the message")


def _service(url: str, context: DeliveryContext, guard: Guard) -> apprise.Apprise:
    asset = apprise.AppriseAsset(
        app_id="Mainstay",
        app_desc="Mainstay",
        app_url="",
        async_mode=False,
        http_redirects=False,
        secure_logging=True,
        service_timeout=context.timeout,
        allow_templates=False,
    )
    service = apprise.Apprise(asset=asset)
    if not service.add(url) or len(service) != 1:
        raise Refused("Apprise does not understand this URL", hint="its wiki shows the form for each service")
    plugin = service[0]
    _check_host(getattr(plugin, "host", None), guard)
    return service


def _check_host(host: str | None, guard: Guard) -> None:
    """Refused if the host of the URL has a guarded address. For many services it is a token and no host."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM) if host else []
    except (OSError, UnicodeError):
        return
    for *_, address in found:
        if reason := guard.refuses(str(address[0])):
            raise Refused(reason)


def _type_of(message: Notification) -> apprise.NotifyType:
    if message.status == "firing":
        urgent = message.alert.get("severity") in _URGENT
        return apprise.NotifyType.FAILURE if urgent else apprise.NotifyType.WARNING
    return apprise.NotifyType.SUCCESS if message.status == "resolved" else apprise.NotifyType.INFO

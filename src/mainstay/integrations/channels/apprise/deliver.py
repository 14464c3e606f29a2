"""Delivery through Apprise (github.com/caronc/apprise), imported when the first message needs it.

Apprise answers yes or no; what it logs meanwhile is the reason that is shown. It makes its own connections, so the
guard looks at the host of the URL before and at each connection while it works, and redirects are off; a proxy that
the environment names is used and decides for itself. With a proxy of the channel or the setting, services that speak
HTTP go through it, and what would connect past it is refused. Services may show a repeat twice.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import apprise
import requests

from mainstay.integrations.addresses import Guard
from mainstay.integrations.guarded_sockets import guarded
from mainstay.integrations.proxied import proxy_addresses, refuse_closed
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
        _through(context.proxy),
        guarded(_OnlyProxy(context.proxy, guard) if context.proxy else guard) as watch,
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
        raise Refused("Apprise does not recognise this URL", hint="its wiki shows the form for each service")
    refuse_closed(getattr(service[0], "host", None) or "", guard)  # for many services it is a token and no host
    return service


class _OnlyProxy:
    """Lets nothing but the proxy be connected to."""

    def __init__(self, proxy: str, guard: Guard) -> None:
        self._open = frozenset(proxy_addresses(proxy))
        self._guard = guard

    def refuses(self, address: str) -> str:
        if address in self._open:
            return self._guard.refuses(address)
        return "Apprise does not use the proxy for this service"


@contextmanager
def _through(proxy: str) -> Iterator[None]:
    token = _proxy.set(proxy)
    try:
        yield
    finally:
        _proxy.reset(token)


def _merged(session: requests.Session, *arguments: Any, **named: Any) -> Any:
    settings = _merge(session, *arguments, **named)
    if proxy := _proxy.get():
        settings["proxies"] = {"http": proxy, "https": proxy}
    return settings


# Apprise has no way to hand a proxy to its services; those that speak HTTP all do so through this library.
_proxy: ContextVar[str] = ContextVar("apprise_proxy", default="")
_merge = requests.Session.merge_environment_settings
requests.Session.merge_environment_settings = _merged  # type: ignore[method-assign, assignment]


def _type_of(message: Notification) -> apprise.NotifyType:
    if message.status == "firing":
        urgent = message.alert.get("severity") in _URGENT
        return apprise.NotifyType.FAILURE if urgent else apprise.NotifyType.WARNING
    return apprise.NotifyType.SUCCESS if message.status == "resolved" else apprise.NotifyType.INFO

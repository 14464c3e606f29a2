"""Delivery by web push (RFC 8030), encrypted for each device (RFC 8291) and signed by this server (RFC 8292).

The target has, besides what is declared, `devices` (each `id endpoint p256dh auth`, as the browser made them), `key`
(PEM of the private key that signs) and `contact` (where a push service finds whoever runs this server). One device that
takes the message is enough; those that the push service knows no more (404, 410) are named in `gone`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import jwt
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from webpush import WebPush
from webpush.types import WebPushSubscription

from mainstay.integrations.http_client import Answer, accepted, post
from mainstay.kernel.errors import Refused, Unavailable
from mainstay.kernel.ports import DeliveryContext, Notification, Receipt
from mainstay.kernel.wording import facts, heading, several_lines

_GONE = frozenset({404, 410})
_TTL = 3600  # seconds for which a push service keeps it for a device that is away; Mainstay itself escalates meanwhile
_TOKEN = 12 * 3600  # seconds; at most 24 h (RFC 8292, 2)
_TEXT = 1500  # bytes; all of a message must fit into 3993 (RFC 8291, 4), and quotes take two


def deliver(target: Mapping[str, Any], message: Notification, context: DeliveryContext) -> Receipt:
    if not target["devices"]:
        raise Refused("no device is registered", hint="the person switches notifications on at /account/")
    body = json.dumps(document_of(message, context.now), ensure_ascii=False).encode()
    taken, gone, refused = 0, [], ""
    busy: Unavailable | None = None
    each = DeliveryContext(context.settings, context.now, context.timeout / len(target["devices"]), context.proxy)
    for device in target["devices"]:
        try:
            answer = _send(target, device, body, message, each)
            if answer.status in _GONE:
                gone.append(device["id"])
                continue
            accepted(answer, context.now)
            taken += 1
        except Unavailable as error:
            busy = error
        except Refused as error:
            refused = error.message
    if taken:
        return Receipt(f"accepted for {taken} of {len(target['devices'])} devices", {"gone": gone})
    if busy is not None:
        raise busy
    raise Refused(refused or "no device receives notifications any more", gone=tuple(gone))


def document_of(message: Notification, now: float) -> dict[str, Any]:
    """What the service worker shows; see static/js/service-worker.js."""
    return {
        "title": heading(message),
        "body": _body(message, now),
        "tag": str(message.alert["id"]),
        "firing": message.status == "firing",
        "open": message.links.get("alert", ""),
        "acknowledge": message.links.get("acknowledge", ""),
    }


def _body(message: Notification, now: float) -> str:
    """What is wrong on the first line, as a phone shows little more until it is opened."""
    lines = [answer if question == "What" else f"{question}: {answer}" for question, answer in facts(message, now)]
    return several_lines("\n".join(lines).encode()[:_TEXT].decode(errors="ignore"))


def _send(
    target: Mapping[str, Any], device: Mapping[str, str], body: bytes, message: Notification, context: DeliveryContext
) -> Answer:
    endpoint = device["endpoint"]
    keys = {"p256dh": device["p256dh"], "auth": device["auth"]}
    try:
        subscription = WebPushSubscription.model_validate({"endpoint": endpoint, "keys": keys})
        sealed = _sealer(target["key"]).get(body, subscription, subscriber="mainstay@localhost", ttl=_TTL)
    except ValueError:
        raise Refused("the device's keys cannot be used", hint="switch notifications on there again") from None
    headers = {
        "TTL": str(_TTL),
        "Content-Encoding": "aes128gcm",
        "Content-Type": "application/octet-stream",
        "Urgency": "high" if message.status == "firing" else "normal",
        "Authorization": _signed(target["key"], endpoint, target["contact"], context.now),
    }
    return post(endpoint, sealed.encrypted, headers, context)


def _signed(pem: str, endpoint: str, contact: str, now: float) -> str:
    """The library's own leaves a port out of the origin, which RFC 8292 has in it."""
    parts = urlsplit(endpoint)
    claims = {"aud": f"{parts.scheme}://{parts.netloc}", "exp": int(now) + _TOKEN, "sub": contact}
    token = jwt.encode(claims, pem, algorithm="ES256")
    return f"vapid t={token}, k={_public(pem)}"


@lru_cache(maxsize=2)
def _sealer(pem: str) -> WebPush:
    public = load_pem_private_key(pem.encode(), None).public_key()
    return WebPush(pem.encode(), public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


@lru_cache(maxsize=2)
def _public(pem: str) -> str:
    sealer = _sealer(pem)
    return str(sealer.vapid.get_application_server_key(sealer.vapid.public_key))

"""Delivery by mail: which server, and what its answers mean.

Replies 4xx and broken connections come again, 5xx are final (RFC 5321, 4.2.1). If the server takes the mail for
some recipients and not for others it counts as delivered, and the receipt names the others: a repeat would reach
the first ones twice. A server that offers no encryption where it was asked for gets nothing.
"""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from mainstay.integrations.addresses import Guard
from mainstay.integrations.channels.email.address import is_address, is_sender, parted, wire_address
from mainstay.integrations.channels.email.message import Envelope, compose
from mainstay.integrations.channels.email.session import Session
from mainstay.kernel.errors import Refused, RemoteError, Unavailable
from mainstay.kernel.masking import Masker
from mainstay.kernel.ports import DeliveryContext, Notification, Receipt
from mainstay.kernel.wording import one_line

_PORTS = {"none": 25, "opportunistic": 25, "starttls": 587, "tls": 465}
_SCHEMES = {"smtp": "none", "smtp+starttls": "starttls", "smtps": "tls"}
_NO_UTF8 = (553, b"5.6.7 its server takes no addresses outside ASCII")  # RFC 6531, 3.7.4.1


@dataclass(frozen=True, slots=True)
class Server:
    host: str
    port: int
    security: str
    user: str = ""
    password: str = ""


def deliver(target: Mapping[str, Any], message: Notification, context: DeliveryContext) -> Receipt:
    server = _server(target.get("smtp") or context.settings.smtp)
    sender = target.get("from") or context.settings.mail_from
    if not is_sender(sender) or not all(map(is_address, target["to"])):
        raise Refused("a sender or recipient is not an e-mail address", hint="check `to` and `from`")
    try:
        refused = _send(server, sender, target["to"], message, context)
    except (OSError, smtplib.SMTPException, ValueError) as error:  # ValueError: a host that no name can be
        raise _meaning(error, server, context.timeout) from None
    taken = len(target["to"]) - len(refused)
    others = f", not for {', '.join(sorted(refused))}" if refused else ""
    return Receipt(f"accepted for {taken} of {len(target['to'])}{others}", {"refused": sorted(refused)})


def _server(declared: Mapping[str, Any] | str) -> Server:
    """The channel's own, or the one of the settings as an address."""
    if not isinstance(declared, str):
        port = declared.get("port") or _PORTS[declared["security"]]
        password = declared.get("password") or ""
        return Server(declared["host"], port, declared["security"], declared.get("user") or "", password)
    url = urlsplit(declared)
    if url.scheme not in _SCHEMES or not url.hostname:
        raise Refused("the setting `smtp` is not a mail server", hint="write smtp://, smtp+starttls:// or smtps://host")
    security = _SCHEMES[url.scheme]
    user, password = unquote(url.username or ""), unquote(url.password or "")
    return Server(url.hostname, url.port or _PORTS[security], security, user, password)


def _send(
    server: Server, sender: str, recipients: list[str], message: Notification, context: DeliveryContext
) -> dict[str, tuple[int, bytes]]:
    """The recipients that were refused; SMTPRecipientsRefused if all were."""
    guard = Guard.from_settings(context.settings.probe_allow)
    with Session(server.host, server.port, server.security, guard, context.timeout, proxy=context.proxy) as session:
        if server.user:
            session.login(server.user, server.password)
        session.ehlo_or_helo_if_needed()
        utf8 = session.has_extn("smtputf8")
        name, address = parted(sender)
        envelope = Envelope(name, wire_address(address), [wire_address(one) for one in recipients])
        beyond = [] if utf8 else [one for one in envelope.recipients if not one.isascii()]
        reachable = [one for one in envelope.recipients if one not in beyond]
        if not utf8 and not envelope.sender.isascii():
            raise smtplib.SMTPSenderRefused(*_NO_UTF8, envelope.sender)
        refused = dict.fromkeys(beyond, _NO_UTF8)
        if not reachable:
            raise smtplib.SMTPRecipientsRefused(refused)
        envelope.recipients = reachable
        options = ["SMTPUTF8"] if not envelope.is_ascii else []
        mail = compose(message, envelope, context.now)
        return refused | session.sendmail(envelope.sender, reachable, mail, options)


def _meaning(error: OSError | smtplib.SMTPException | ValueError, server: Server, timeout: float) -> RemoteError:
    """What a failed session means, in words without the password."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code, text = max(error.recipients.values(), key=lambda reply: reply[0])
        names = ", ".join(sorted(error.recipients))
        if all(500 <= reply[0] < 600 for reply in error.recipients.values()):
            return Refused(f"no recipient was accepted ({names}): {_reply(code, text, server)}")
        return Unavailable(f"no recipient was accepted for now ({names}): {_reply(code, text, server)}")
    if isinstance(error, smtplib.SMTPResponseException):
        said = _reply(error.smtp_code, error.smtp_error, server)
        return Refused(said) if 500 <= error.smtp_code < 600 else Unavailable(said)
    return Unavailable(_trouble(error, server, timeout))


def _trouble(error: OSError | smtplib.SMTPException | ValueError, server: Server, timeout: float) -> str:
    """Why there was no whole session; it may be better later."""
    if isinstance(error, ssl.SSLError):
        return f"no trusted encryption to the mail server: {error.reason or 'the handshake failed'}"
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return one_line(f"the mail server lacks a required feature: {error}")
    if isinstance(error, TimeoutError):
        return f"the mail server did not answer within {timeout:g} s"
    reason = error.strerror if isinstance(error, OSError) else None
    return one_line(f"no session with the mail server {server.host}, port {server.port}: {reason or error}")


def _reply(code: int, text: str | bytes, server: Server) -> str:
    words = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return one_line(f"the mail server answered {code} {Masker([server.password]).text(words)}", 300)

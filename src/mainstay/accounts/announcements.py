"""Mail about changes to accounts that people must know of: every administrator, or whom it is about."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from smtplib import SMTPException

import structlog
from django.conf import settings
from django.core.mail import EmailMessage
from django.db import connection

from mainstay.accounts.models import User

log = structlog.get_logger("accounts")
_later = ThreadPoolExecutor(max_workers=1, thread_name_prefix="announcements")

_RECOVERY_MADE = """\
Somebody on the machine that runs Mainstay ({actor}) created a link that lets {email} in without a second factor, from
any address. It works once, within an hour.

If you do not know why, ask: whoever can do this owns the machine. The journal has it as user.recovery_made.
"""
_RECOVERED = """\
{email} has signed in with a recovery link: the password is new; the second factor was removed and must be set up again.

If that was not {email}, switch the account off under People. The journal has it as user.recovered.
"""


_ADDRESS_CHANGED = """\
An administrator has changed the address with which you sign in, from {old} to {new}. Your password and second factor
are unchanged.

If you did not ask for that, tell an administrator at once.
"""


def recovery_made(email: str, actor: str) -> str:
    """Tell of a recovery link, now. Why that failed, or nothing."""
    return _send(f"A recovery link for {email} was created", _RECOVERY_MADE.format(email=email, actor=actor))


def recovered(email: str) -> None:
    """Tell that a recovery link was used, on another thread: its visitor does not wait for the mail server."""
    _later.submit(_send_and_log, f"{email} signed in with a recovery link", _RECOVERED.format(email=email))


def address_changed(old: str, new: str) -> None:
    """Tell both addresses of a person, on another thread, that the one took the other's place."""
    text = _ADDRESS_CHANGED.format(old=old, new=new)
    _later.submit(_send_and_log, f"You sign in as {new} now", text, [old, new])


def _send_and_log(subject: str, text: str, people: list[str] | None = None) -> None:
    problem = _send(subject, text, people)
    if problem:
        # Addresses stay out of the log.
        log.warning("people could not be notified by mail of a change to accounts; the journal has it", error=problem)
    connection.close()  # this thread serves no request, so nothing else would give it back


def _send(subject: str, text: str, people: list[str] | None = None) -> str:
    """Why it failed, or nothing. `people`: addresses; None: every administrator."""
    if people is None:
        admins = User.objects.filter(role="admin", is_active=True)
        people = list(admins.order_by("email").values_list("email", flat=True))
    body = f"{text}\n-- \nMainstay at {settings.MAINSTAY.base_url}\n"
    problem = ""
    for address in people:  # one mail each: addresses of others are nobody's business
        try:
            EmailMessage(f"[Mainstay] {subject}", body, settings.MAINSTAY.mail_from, to=[address]).send()
        except (OSError, SMTPException) as error:
            problem = f"{type(error).__name__}: {error}"[:200]
    return problem

"""What allauth asks of us: no open sign-up, safe redirects, mail that cannot be used to probe, secrets encrypted."""

from __future__ import annotations

import base64
import hashlib
from concurrent.futures import ThreadPoolExecutor
from smtplib import SMTPException
from typing import TYPE_CHECKING, Any

import structlog
from allauth.account.adapter import DefaultAccountAdapter
from allauth.mfa.adapter import DefaultMFAAdapter
from django.conf import settings
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from typing_extensions import override

if TYPE_CHECKING:
    from cryptography.fernet import Fernet
    from django.core.mail import EmailMessage
    from django.http import HttpRequest

log = structlog.get_logger("accounts")

_mail = ThreadPoolExecutor(max_workers=1, thread_name_prefix="account-mail")


def _deliver(message: EmailMessage) -> None:
    try:
        message.send()
    except (OSError, SMTPException) as error:
        # Addresses and texts of mail stay out of the log: they hold links that open accounts.
        log.warning("mail about an account was not sent", error=f"{type(error).__name__}: {error}"[:200])


class AccountAdapter(DefaultAccountAdapter):
    """Client addresses are REMOTE_ADDR, which the first middleware corrects when a trusted proxy forwards."""

    def is_open_for_signup(self, _request: HttpRequest) -> bool:
        return False

    def is_safe_url(self, url: str | None) -> bool:
        """Only paths of this site are followed; not even our own host by its full address."""
        return bool(url) and url_has_allowed_host_and_scheme(url, allowed_hosts=None)

    def format_email_subject(self, subject: str) -> str:
        return f"[Mainstay] {subject}"

    def get_reset_password_from_key_url(self, key: str) -> str:
        """Built from the configured address: a Host header must not decide where a secret link points to."""
        path = reverse("account_reset_password_from_key", kwargs={"uidb36": "UID", "key": "KEY"})
        return settings.MAINSTAY.base_url + path.replace("UID-KEY", key)

    def get_password_change_redirect_url(self, _request: HttpRequest) -> str:
        return reverse("account")

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Send on another thread: the time that a mail takes must not tell whether an account exists."""
        message = self.render_mail(template_prefix, email, {"base_url": settings.MAINSTAY.base_url, **context})
        _mail.submit(_deliver, message)

    @override
    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        # allauth also counts by Host, whose port a client is free to invent: each would get attempts of its own.
        return f"sign-in:{str(credentials.get('email', '')).strip().lower()}"


class FactorAdapter(DefaultMFAAdapter):
    """Secrets of second factors are encrypted with the key of this install: a copied database is not enough."""

    def build_totp_svg(self, url: str) -> str:
        """The QR code on white: without a ground of its own no camera reads it on a dark page."""
        from qrcode.image.svg import SvgPathFillImage
        from qrcode.main import QRCode

        code: Any = QRCode(image_factory=SvgPathFillImage)
        code.add_data(url)
        return str(code.make_image().to_string(encoding="unicode"))

    def encrypt(self, text: str) -> str:
        return _cipher().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        return _cipher().decrypt(encrypted_text.encode()).decode()


def _cipher() -> Fernet:
    from cryptography.fernet import Fernet

    key = hashlib.sha256(b"mainstay second factors\0" + settings.SECRET_KEY.encode()).digest()
    return Fernet(base64.urlsafe_b64encode(key))

"""What allauth asks of us: no open sign-up, safe redirects, mail that cannot be used to probe, secrets encrypted."""

from __future__ import annotations

import base64
import hashlib
from concurrent.futures import ThreadPoolExecutor
from smtplib import SMTPException
from typing import TYPE_CHECKING, Any, cast

import structlog
from allauth.account.adapter import DefaultAccountAdapter
from allauth.mfa.adapter import DefaultMFAAdapter
from django.conf import settings
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from typing_extensions import override

from mainstay.accounts import devices, policies, queries
from mainstay.accounts.allauth_internals import (
    AUTHENTICATION_METHODS_SESSION_KEY,
    get_authentication_records,
    ratelimit,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography.fernet import Fernet
    from django.contrib.auth.base_user import AbstractBaseUser
    from django.contrib.auth.models import AnonymousUser
    from django.core.mail import EmailMessage
    from django.http import HttpRequest, HttpResponse

    from mainstay.accounts.allauth_internals import RateLimitUsage
    from mainstay.accounts.models import User

_APP = "allauth.account"  # whose limits are counted: ACCOUNT_RATE_LIMITS
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

    error_messages = DefaultAccountAdapter.error_messages | {
        "only_sso": "Passwords are switched off here. Use single sign-on."
    }
    _attempts: Sequence[RateLimitUsage | None] = ()  # what `pre_authenticate` has counted

    def is_open_for_signup(self, _request: HttpRequest) -> bool:
        return False

    def is_safe_url(self, url: str | None) -> bool:
        """Only paths of this site are followed; not even our own host by its full address."""
        return bool(url) and url_has_allowed_host_and_scheme(url, allowed_hosts=None)

    def format_email_subject(self, subject: str) -> str:
        return f"[Mainstay] {subject}"

    def send_password_reset_mail(self, user: Any, email: str, context: dict[str, Any]) -> None:
        """Where passwords are switched off, nobody is sent one; the visitor reads the same answer."""
        if not policies.only_sso():
            super().send_password_reset_mail(user, email, context)

    def get_reset_password_from_key_url(self, key: str) -> str:
        """Built from the configured address: a Host header must not decide where a secret link points to."""
        path = reverse("account_reset_password_from_key", kwargs={"uidb36": "UID", "key": "KEY"})
        return settings.MAINSTAY.base_url + path.replace("UID-KEY", key)

    def get_email_confirmation_url(self, _request: HttpRequest, emailconfirmation: Any) -> str:
        return settings.MAINSTAY.base_url + reverse("confirm_address", kwargs={"key": emailconfirmation.key})

    def get_password_change_redirect_url(self, _request: HttpRequest) -> str:
        return reverse("account")

    def get_from_email(self) -> str:
        return str(settings.MAINSTAY.mail_from)

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Send on another thread: the time that a mail takes must not tell whether an account exists."""
        message = self.render_mail(template_prefix, email, {"base_url": settings.MAINSTAY.base_url, **context})
        _mail.submit(_deliver, message)

    def get_login_stages(self) -> list[str]:
        """Whether to remember the browser is asked together with the second step, not on a page of its own."""
        stages = [stage for stage in super().get_login_stages() if stage != "allauth.mfa.stages.TrustStage"]
        return [*stages, "mainstay.accounts.stages.PolicyStage"]

    def get_reauthentication_methods(self, user: AbstractBaseUser | AnonymousUser) -> list[dict[str, Any]]:
        """Whom a provider brought may go there again; where it is the only way in, nothing else counts."""
        methods: list[dict[str, Any]] = super().get_reauthentication_methods(user)
        name = queries.from_provider(cast("User", user)) if user.is_authenticated else ""
        provider = policies.provider(name) if name else None
        if provider is None:
            return methods
        again = {"id": "sso", "description": f"Sign in again at {provider.title}", "url": reverse("sso_again")}
        return [again] if provider.spec.only else [*methods, again]

    def login(self, request: HttpRequest, user: AbstractBaseUser) -> None:
        super().login(request, user)
        # Who has just signed in has just shown who they are; allauth would ask for the password once more.
        records = [{**record, "reauthenticated": True} for record in get_authentication_records(request, user)]
        request.session[AUTHENTICATION_METHODS_SESSION_KEY] = records

    def post_login(self, request: HttpRequest, user: AbstractBaseUser, **details: Any) -> HttpResponse:
        response: HttpResponse = super().post_login(request, user, **details)
        devices.note_device(request, response, cast("User", user))
        devices.remember_if_wished(request, response, cast("User", user))
        return response

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Count attempts so that guessing is slow, and so that guessing does not lock the owner out."""
        if policies.only_sso():
            raise self.validation_error("only_sso")
        email = str(credentials.get("email", "")).strip().lower()[:200]
        known = bool(devices.known_device(request, email))
        wanted = [("login_failed_known" if known else "login_failed", self._attempts_key(request, email))]
        if not known:
            wanted.append(("login_strangers", email))
        self._attempts = [ratelimit.consume(request, app=_APP, action=name, key=key) for name, key in wanted]
        if not all(self._attempts):
            raise self.validation_error("too_many_login_attempts")

    @override
    def _rollback_login_failed_rl_usage(self) -> None:
        for usage in self._attempts:
            if usage is not None:
                usage.rollback()

    @override
    def _delete_login_attempts_cached_email(self, request: HttpRequest, **credentials: Any) -> None:
        """After a reset by mail, whose sender has shown to be the owner, earlier attempts count no more."""
        email = str(credentials.get("email", "")).strip().lower()[:200]
        ratelimit.clear(request, app=_APP, action="login_failed", key=self._attempts_key(request, email))
        ratelimit.clear(request, app=_APP, action="login_strangers", key=email)

    def _attempts_key(self, request: HttpRequest, email: str) -> str:
        # Not by Host, as allauth does: its port is for a client to invent, and each would get attempts of its own.
        place = devices.known_device(request, email) or devices.network_of(self.get_client_ip(request))
        return f"{email} {place}"


class FactorAdapter(DefaultMFAAdapter):
    """Secrets of second factors are encrypted with the key of this install: a copied database is not enough."""

    error_messages = DefaultMFAAdapter.error_messages | {"incorrect_code": "That code or key is not correct."}

    def build_totp_svg(self, url: str) -> str:
        """The QR code on white: without a ground of its own no camera reads it on a dark page."""
        from qrcode.image.svg import SvgPathFillImage
        from qrcode.main import QRCode

        code: Any = QRCode(image_factory=SvgPathFillImage)
        code.add_data(url)
        return str(code.make_image().to_string(encoding="unicode"))

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        """Passkeys belong to the name under which this page was opened, which the first middleware has checked."""
        return {**super().get_public_key_credential_rp_entity(), "name": "Mainstay"}

    def generate_authenticator_name(self, user: AbstractBaseUser, type: Any) -> str:  # noqa: A002 # allauth's name
        return f"Passkey {user.authenticator_set.filter(type=type).count() + 1}"  # type: ignore[attr-defined] # theirs

    def encrypt(self, text: str) -> str:
        return _cipher().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        return _cipher().decrypt(encrypted_text.encode()).decode()


def _cipher() -> Fernet:
    from cryptography.fernet import Fernet

    key = hashlib.sha256(b"mainstay second factors\0" + settings.SECRET_KEY.encode()).digest()
    return Fernet(base64.urlsafe_b64encode(key))

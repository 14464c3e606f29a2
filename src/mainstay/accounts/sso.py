"""Single sign-on through allauth: which providers there are, whom they may bring in, and as what.

Rules: an account is bound to a provider by the provider's own identifier of the person. The first time, an address
that the provider has verified may bind it to an account that is there; an address that it has not, never. Nobody
binds a provider to an account by hand: somebody else's browser could be made to do that.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import requests
from allauth.account.adapter import get_adapter as account_adapter
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialApp
from allauth.socialaccount.providers.base.constants import AuthProcess
from django.conf import settings
from django.shortcuts import render

from mainstay.accounts import policies, rules, verbs
from mainstay.accounts.events import UserSignInFailed
from mainstay.accounts.id_tokens import InvalidIdToken
from mainstay.accounts.models import User
from mainstay.integrations.addresses import Guard
from mainstay.integrations.guarded_sockets import guarded
from mainstay.integrations.http_client import trusted_certificates
from mainstay.kernel.actor import Actor
from mainstay.kernel.errors import UserError
from mainstay.kernel.secret import SecretMissing
from mainstay.store.secrets import SecretSource

if TYPE_CHECKING:
    from allauth.socialaccount.models import SocialLogin
    from django.http import HttpRequest, HttpResponse

_LARGEST_ANSWER = 1024 * 1024
_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Claims:
    """What a provider says of a person."""

    email: str
    verified: bool
    groups: tuple[str, ...]


def claims_of(login: SocialLogin, provider: policies.Provider) -> Claims:
    """The claims of the ID token and of the user-info endpoint, the latter first."""
    said = {**login.account.extra_data.get("id_token", {}), **login.account.extra_data.get("userinfo", {})}
    listed = said.get(provider.spec.groups_claim, ())
    # Some providers write a single group as text.
    groups = (listed,) if isinstance(listed, str) else tuple(listed) if isinstance(listed, list | tuple) else ()
    # Some write the truth as text, too; any other text, `false` among them, is none.
    verified = said.get("email_verified") in (True, "true") or provider.spec.trust_email
    email = said.get("email")
    return Claims(str(email or "").strip().lower(), verified, tuple(str(group) for group in groups))


class SignInRefused(Exception):
    """Somebody whom the provider knows is not let in; the message is for them."""


class SsoAdapter(DefaultSocialAccountAdapter):
    """Providers come from what is declared under `sign_in`, with their secrets looked up at the moment of use."""

    def list_apps(self, _request: HttpRequest, provider: Any = None, client_id: Any = None) -> list[SocialApp]:
        found = [_app(one) for one in policies.providers() if provider in (None, "openid_connect", one.name)]
        return [app for app in found if client_id in (None, app.client_id)]

    def get_requests_session(self) -> requests.Session:
        return _BoundedSession()

    def authenticate_by_email(self, sociallogin: SocialLogin) -> tuple[Any, str] | None:
        """The account that already exists, if the provider has verified the address and may speak for it."""
        provider = _provider(sociallogin)
        claims = claims_of(sociallogin, provider)
        if not claims.email or not claims.verified or not rules.domain_fits(claims.email, provider.spec.domains):
            return None
        user = User.objects.filter(email=claims.email).first()
        return (user, claims.email) if user is not None else None

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        """Decide whether this person comes in, and see to their account and role. Raises an answer if not."""
        provider = _provider(sociallogin)
        claims = claims_of(sociallogin, provider)
        try:
            self._admit(sociallogin, provider, claims)
        except (SignInRefused, UserError) as error:
            _note_refusal(request, provider.name, claims.email, str(error))
            raise ImmediateHttpResponse(refusal(request, provider.title, str(error))) from error

    def _admit(self, login: SocialLogin, provider: policies.Provider, claims: Claims) -> None:
        if login.state.get("process") != AuthProcess.LOGIN:
            raise SignInRefused("A provider cannot be linked to an account manually.")
        _check_answer(login)
        if not claims.email:
            raise SignInRefused("The provider gave no e-mail address.")
        if not rules.domain_fits(claims.email, provider.spec.domains):
            raise SignInRefused("Addresses of this domain are not allowed.")
        role = rules.mapped_role(claims.groups, provider.spec)
        if role is None:
            raise SignInRefused("None of your groups has a role here.")
        if login.is_existing:
            user = cast("User", login.user)
            verbs.follow_provider(provider.name, user.email, role)
            user.refresh_from_db()
        elif not claims.verified:
            raise SignInRefused("The provider has not verified your e-mail address.")
        else:
            login.user = login.account.user = verbs.welcome(provider.name, claims.email, role)
            login.account.save()

    def on_authentication_error(
        self, request: HttpRequest, provider: Any, error: Any = None, exception: Any = None, extra_context: Any = None
    ) -> None:
        """Something went wrong on the way: say so without what the provider sent, which may hold secrets."""
        del error, extra_context
        text = (
            "It was cancelled, took too long, or was started in another browser." if exception is None else _trouble()
        )
        if isinstance(exception, InvalidIdToken):
            text = str(exception)
            _note_refusal(request, provider.name, "", text)
        raise ImmediateHttpResponse(refusal(request, provider.name, text))

    def send_notification_mail(self, *args: Any, **kwargs: Any) -> None:
        account_adapter().send_notification_mail(*args, **kwargs)


def _note_refusal(request: HttpRequest, provider: str, email: str, reason: str) -> None:
    details = {"step": "single sign-on", "provider": provider, "reason": reason[:300]}
    details["address"] = str(request.META.get("REMOTE_ADDR", ""))
    verbs.note_sign_in(UserSignInFailed, Actor("public", "sign-in"), email, details)


def _trouble() -> str:
    return "The provider could not be reached. An administrator can find out why with `mainstay doctor`."


def refusal(request: HttpRequest, title: str, text: str) -> HttpResponse:
    """The page that says why somebody was not let in."""
    return render(request, "socialaccount/refused.html", {"provider_title": title, "text": text}, status=403)


def _provider(login: SocialLogin) -> policies.Provider:
    found = policies.provider(login.account.provider)
    if found is None:
        raise SocialApp.DoesNotExist
    return found


def _check_answer(login: SocialLogin) -> None:
    """What allauth leaves open: the answer belongs to our question, and both of its parts to one person."""
    token, info = (login.account.extra_data.get(part, {}) for part in ("id_token", "userinfo"))
    asked = str((login.state.get("data") or {}).get("nonce", ""))
    if token and not hmac.compare_digest(str(token.get("nonce", "")).encode(), asked.encode()):
        raise SignInRefused("The provider's answer belongs to another sign-in. Try again.")
    if token and info and token.get("sub") != info.get("sub"):  # OpenID Connect Core 1.0, section 5.3.2
        raise SignInRefused("The provider's answers refer to two different people.")


def _app(provider: policies.Provider) -> SocialApp:
    spec = provider.spec
    try:
        secret = SecretSource(settings.MAINSTAY).fill(spec.client_secret) if spec.client_secret else ""
    except SecretMissing:
        secret = ""  # the provider refuses then; `mainstay plan` and `mainstay doctor` name what is missing
    return SocialApp(
        provider="openid_connect",
        provider_id=provider.name,
        name=provider.title,
        client_id=spec.client_id,
        secret=secret,
        settings={
            "server_url": spec.server,
            "scope": ["openid", "profile", "email", *spec.scopes],
            "oauth_pkce_enabled": True,
        },
    )


class _BoundedSession(requests.Session):
    """Answers of a provider are bounded in time and size, and redirects are not followed: endpoints have none.

    A provider names its endpoints itself, so they are held to the same addresses as checks and channels. A proxy of
    the environment would look them up behind the guard's back.
    """

    def __init__(self) -> None:
        super().__init__()
        self.trust_env = False
        self.verify = trusted_certificates()

    def request(self, method: Any, url: Any, *args: Any, **kwargs: Any) -> requests.Response:
        kwargs.update(timeout=_SECONDS, stream=True, allow_redirects=False)
        with guarded(Guard.from_settings(settings.MAINSTAY.probe_allow)):
            response = super().request(method, url, *args, **kwargs)
        body = bytearray()
        for part in response.iter_content(64 * 1024):
            body += part
            if len(body) > _LARGEST_ANSWER:
                response.close()
                raise requests.RequestException("the answer is too large")
        response._content = bytes(body)
        return response

"""Pages of single sign-on: to the provider and back. allauth's own take parameters along from the visitor."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import requests
from allauth.account.utils import get_next_redirect_url
from allauth.socialaccount.adapter import get_adapter
from allauth.socialaccount.models import SocialApp
from allauth.socialaccount.providers.base.constants import AuthProcess
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from mainstay.accounts import policies, queries
from mainstay.accounts.doors import page, public
from mainstay.accounts.id_tokens import decoded
from mainstay.accounts.sso import refusal

# What a provider that answers nonsense, or does not answer, makes allauth raise.
_NONSENSE = (AttributeError, ImproperlyConfigured, LookupError, OAuth2Error, requests.RequestException, TypeError)


def _guarded(name: str, step: Callable[[], HttpResponse], request: HttpRequest) -> HttpResponse:
    provider = policies.provider(name)
    if provider is None:
        raise Http404
    try:
        return step()
    except SocialApp.DoesNotExist:
        raise Http404 from None
    except (*_NONSENSE, ValueError, ValidationError):
        text = "The provider did not answer as it should. Try again, or tell an administrator."
        return refusal(request, provider.title, text)


def _to_provider(request: HttpRequest, name: str, **wishes: str) -> HttpResponse:
    nonce = secrets.token_urlsafe(24)
    provider = get_adapter().get_provider(request, provider=name)
    response: HttpResponse = provider.redirect(
        request,
        AuthProcess.LOGIN,
        next_url=get_next_redirect_url(request),
        data={"nonce": nonce},
        auth_params={"nonce": nonce, **wishes},
    )
    return response


class _Answers(OpenIDConnectOAuth2Adapter):
    """allauth's, with every ID token checked whole."""

    def _decode_id_token(self, app: SocialApp, id_token: str) -> dict[str, Any]:
        said = self.openid_config
        return decoded(id_token, issuer=said["issuer"], client=app.client_id, secret=app.secret, keys=self._keys)

    def _keys(self) -> Any:
        with get_adapter().get_requests_session() as session:  # type: ignore[no-untyped-call] # ours
            answer = session.get(self.openid_config["jwks_uri"])
            answer.raise_for_status()
        return answer.json()


@public
@require_safe
def sso_start(request: HttpRequest, provider_id: str) -> HttpResponse:
    """Off to the provider. A link and not a form: the policy lets no form lead to another site."""
    return _guarded(provider_id, lambda: _to_provider(request, provider_id), request)


@page()
@require_safe
def sso_again(request: HttpRequest) -> HttpResponse:
    """Off to the provider to show once more who one is."""
    user = queries.signed_in_user(request.user)
    name = queries.from_provider(user) if user is not None else ""
    return _guarded(name, lambda: _to_provider(request, name, prompt="login", max_age="0"), request)


@public
@require_safe
def sso_back(request: HttpRequest, provider_id: str) -> HttpResponse:
    """Back from the provider."""
    view: Callable[[HttpRequest], HttpResponse] = OAuth2CallbackView.adapter_view(  # type: ignore[no-untyped-call] # theirs
        _Answers(request, provider_id)
    )
    return _guarded(provider_id, lambda: view(request), request)

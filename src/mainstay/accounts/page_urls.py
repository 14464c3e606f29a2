"""Addresses of the account pages."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path
from django.views.generic.base import RedirectView

from mainstay.accounts import address_pages, factor_pages, pages, sso_pages
from mainstay.accounts.doors import public

# allauth would let people keep several addresses; here the address is the account, and an administrator gave it.
_to_account = public(RedirectView.as_view(pattern_name="account"))

urlpatterns: list[URLPattern | URLResolver] = [
    path("setup/<str:token>", pages.set_up, name="set_up"),
    path("join/<str:secret>", pages.join, name="join"),
    path("recover/<str:secret>", pages.recover, name="recover"),
    path("account/", pages.account, name="account"),
    path("account/address/", address_pages.change_address, name="change_address"),
    path("account/confirm/", pages.confirm, name="confirm"),
    path("account/tokens/", pages.tokens, name="tokens"),
    path("account/tokens/new/", pages.new_token, name="new_token"),
    path("account/tokens/<str:token_id>/rotate/", pages.rotate_token, name="rotate_token"),
    path("account/tokens/<str:token_id>/revoke/", pages.revoke_token, name="revoke_token"),
    path("account/sessions/<int:number>/end/", pages.end_session, name="end_session"),
    path("users/", pages.users, name="users"),
    path("users/new/", pages.new_user, name="new_user"),
    path("users/change/", pages.change_user, name="change_user"),
    path("account/sign-in-again/", sso_pages.sso_again, name="sso_again"),
    # In the place of allauth's: theirs would take parameters for the provider from the visitor.
    path("accounts/oidc/<slug:provider_id>/login/", sso_pages.sso_start, name="sso_start"),
    path("accounts/oidc/<slug:provider_id>/login/callback/", sso_pages.sso_back, name="sso_back"),
    path("accounts/2fa/recovery-codes/", factor_pages.recovery_codes),
    path("accounts/2fa/recovery-codes/download/", factor_pages.recovery_codes_file),
    path("accounts/3rdparty/", _to_account),
    path("accounts/3rdparty/signup/", _to_account),
    path("accounts/email/", _to_account),
    path("accounts/confirm-email/", _to_account),
    path("accounts/confirm-email/<str:key>/", address_pages.confirm_address, name="confirm_address"),
]

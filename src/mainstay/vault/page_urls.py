"""Addresses of the pages of vault, each with the scope that its door asks for."""

from __future__ import annotations

from django.urls import URLPattern, path

from mainstay.accounts.doors import page
from mainstay.vault import pages

keeps_secrets = page("secrets:write", fresh=True)

urlpatterns: list[URLPattern] = [
    path("vault/", page("secrets:write")(pages.vault_page), name="vault"),
    path("vault/set", keeps_secrets(pages.vault_set), name="vault_set"),
    path("vault/remove", keeps_secrets(pages.vault_remove), name="vault_remove"),
    path("vault/rotate", keeps_secrets(pages.vault_rotate), name="vault_rotate"),
]

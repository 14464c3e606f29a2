"""Addresses of the pages of journal, each with the scope that its door asks for."""

from __future__ import annotations

from django.urls import URLPattern, path

from mainstay.accounts.doors import page
from mainstay.journal import pages

urlpatterns: list[URLPattern] = [
    path("journal/", page("journal:read")(pages.journal), name="journal"),
    path("journal/verify", page("journal:read")(pages.verify_journal), name="journal_verify"),
    path("journal/export", page("journal:export")(pages.export_journal), name="journal_export"),
]

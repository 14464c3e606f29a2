"""Addresses of the pages of sources, each with the scope that its door asks for."""

from __future__ import annotations

from django.urls import URLPattern, path

from mainstay.accounts.doors import page
from mainstay.sources import pages

sees = page("alerts:read")

urlpatterns: list[URLPattern] = [
    path("sources/", sees(pages.source_list), name="sources"),
    path("sources/<str:name>/", sees(pages.source_page), name="source"),
    path("changes/", sees(pages.change_list), name="changes"),
]

"""Addresses of the first page, of search and of health."""

from __future__ import annotations

from django.urls import URLPattern, path

from mainstay.accounts.doors import page
from mainstay.runtime import health_page, overview, search

sees = page("monitors:read", limited=True)
writes = page("resources:write")

urlpatterns: list[URLPattern] = [
    path("", sees(overview.overview), name="overview"),
    path("add", writes(overview.add), name="add"),
    path("search", page("")(search.search), name="search"),
    path("health/", page("settings:read")(health_page.health), name="health"),
]

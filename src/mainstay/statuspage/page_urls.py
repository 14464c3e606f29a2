"""Addresses of the pages of statuspage, each with the scope that its door asks for."""

from __future__ import annotations

from django.urls import URLPattern, path

from mainstay.accounts.doors import page
from mainstay.statuspage import pages

reads = page("resources:read")

urlpatterns: list[URLPattern] = [
    path("status-pages/", reads(pages.status_page_list), name="status_pages"),
]

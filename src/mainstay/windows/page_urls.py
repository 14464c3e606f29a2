"""Addresses of the pages of windows, each with the scope that its door asks for."""

from __future__ import annotations

from django.urls import URLPattern, path

from mainstay.accounts.doors import page
from mainstay.windows import pages

orders = page("monitors:check", limited=True)
writes = page("resources:write")

urlpatterns: list[URLPattern] = [
    path("windows/", page("monitors:read")(pages.window_list), name="windows"),
    path("windows/<str:name>/end", writes(pages.window_end), name="window_end"),
    path("maintenance", orders(pages.maintenance), name="maintenance"),
]

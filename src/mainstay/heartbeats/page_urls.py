"""Addresses of the pages of heartbeats, each with the scope that its door asks for."""

from __future__ import annotations

from django.urls import URLPattern, path

from mainstay.accounts.doors import page
from mainstay.heartbeats import pages

sees = page("monitors:read", limited=True)
orders = page("monitors:check", limited=True)

urlpatterns: list[URLPattern] = [
    path("heartbeats/", sees(pages.heartbeat_list), name="heartbeats"),
    path("heartbeats/<str:name>/", sees(pages.heartbeat_page), name="heartbeat"),
    path("heartbeats/<str:name>/pings/<int:n>", sees(pages.ping_body), name="ping_body"),
    path("heartbeats/<str:name>/<slug:order>", orders(pages.heartbeat_order), name="heartbeat_order"),
]

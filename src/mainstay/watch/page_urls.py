"""Addresses of the pages of watch, each with the scope that its door asks for."""

from __future__ import annotations

from django.urls import URLPattern, path

from mainstay.accounts.doors import page
from mainstay.watch import monitor_page, pages, traces
from mainstay.watch.location_pages import location_list

sees = page("monitors:read", limited=True)
orders = page("monitors:check", limited=True)

urlpatterns: list[URLPattern] = [
    path("monitors/", sees(pages.monitor_list), name="monitors"),
    path("monitors/orders", orders(pages.monitor_orders), name="monitor_orders"),
    path("monitors/<str:name>/", sees(monitor_page.monitor_page), name="monitor"),
    path("monitors/<str:name>/traces/<str:trace>", sees(traces.monitor_trace), name="monitor_trace"),
    path("monitors/<str:name>/pictures/<str:picture>", sees(traces.monitor_picture), name="monitor_picture"),
    path("monitors/<str:name>/<slug:order>", orders(monitor_page.monitor_order), name="monitor_order"),
    path("locations/", page("monitors:read")(location_list), name="locations"),
]

"""Addresses of the pages of nodes, each with the scope that its door asks for."""

from __future__ import annotations

from django.urls import URLPattern, path

from mainstay.accounts.doors import page
from mainstay.nodes import pages

urlpatterns: list[URLPattern] = [
    path("nodes/", page("settings:read")(pages.node_list), name="nodes"),
    path("nodes/<str:name>/<slug:order>", page("nodes:write")(pages.node_order), name="node_order"),
]

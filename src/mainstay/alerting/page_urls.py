"""Addresses of alerting that are open without sign-in."""

from __future__ import annotations

from django.urls import URLPattern, path

from mainstay.alerting import pages

urlpatterns: list[URLPattern] = [path("a/<str:token>", pages.acknowledge_by_link, name="acknowledge_by_link")]

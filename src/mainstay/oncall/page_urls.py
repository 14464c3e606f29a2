"""Addresses of the pages of on-call, each with the scope that its door asks for."""

from __future__ import annotations

from django.urls import URLPattern, path

from mainstay.accounts.doors import page
from mainstay.oncall import me_pages, pages

reads = page("oncall:read")  # whoever may read may also take a shift: the verbs look closer

urlpatterns: list[URLPattern] = [
    path("oncall/", reads(pages.overview), name="oncall"),
    path("oncall/me/", reads(me_pages.me), name="oncall_me"),
    path("oncall/me/code", reads(me_pages.code), name="oncall_code"),
    path("oncall/me/test", reads(me_pages.test), name="oncall_test"),
    path("oncall/me/feed", reads(me_pages.me_feed), name="oncall_me_feed"),
    path("oncall/schedules/<str:name>/", reads(pages.schedule_page), name="oncall_schedule"),
    path("oncall/schedules/<str:name>/feed", reads(pages.schedule_feed), name="oncall_schedule_feed"),
    path("oncall/policies/<str:name>/", reads(pages.policy_page), name="oncall_policy"),
    path("oncall/override", reads(pages.override), name="oncall_override"),
    path("oncall/changes/<slug:sort>/<slug:identifier>/remove", reads(pages.change_remove), name="oncall_remove"),
    path("oncall/swap", reads(pages.swap), name="oncall_swap"),
    path("oncall/swaps/<slug:identifier>/answer", reads(pages.swap_answer), name="oncall_answer"),
    path("oncall/feed/<str:secret>.ics", pages.feed, name="oncall_feed"),
]

"""Addresses of the pages of resources, each with the scope that its door asks for."""

from __future__ import annotations

from django.urls import URLPattern, path

from mainstay.accounts.doors import page
from mainstay.resources import editing, pages, removal, revision_pages

reads = page("resources:read")
writes = page("resources:write")

urlpatterns: list[URLPattern] = [
    path("routes/", reads(pages.resource_list), {"kind": "route"}, name="routes"),
    path("resources/", reads(pages.resource_list), name="resources"),
    path("resources/new", writes(editing.resource_new), name="resource_new"),
    path("resources/draft", writes(editing.resource_draft), name="resource_draft"),
    path("resources/check", writes(editing.resource_check), name="resource_check"),
    path("resources/save", writes(editing.resource_save), name="resource_save"),
    path("resources/plan", writes(pages.resource_plan), name="resource_plan"),
    path("resources/apply", writes(pages.resource_apply), name="resource_apply"),
    path("resources/removal", writes(removal.resource_removal), name="resource_removal"),
    path("resources/export", reads(pages.resource_export), name="resource_export"),
    path("resources/<str:kind>/<str:name>/", reads(pages.resource_page), name="resource"),
    path("resources/<str:kind>/<str:name>/edit", writes(editing.resource_edit), name="resource_edit"),
    path("resources/<str:kind>/<str:name>/delete", writes(pages.resource_delete), name="resource_delete"),
    path("revisions/", reads(revision_pages.revision_list), name="revisions"),
    path("revisions/<int:number>/", reads(revision_pages.revision_page), name="revision"),
    path("revisions/<int:number>/rollback", writes(revision_pages.rollback), name="rollback"),
]

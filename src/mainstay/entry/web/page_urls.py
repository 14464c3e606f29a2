"""Addresses of the pages for people, each with the scope that its door asks for."""

from __future__ import annotations

from django.urls import URLPattern, path

from mainstay.accounts.doors import page
from mainstay.alerting import alert_pages, channel_pages
from mainstay.entry.web import (
    health,
    journal,
    monitor,
    overview,
    resources,
    revisions,
    status_pages,
    traces,
    vault,
    windows,
)
from mainstay.heartbeats import pages as heartbeats
from mainstay.nodes import pages as nodes
from mainstay.watch import pages as monitors
from mainstay.watch.location_pages import location_list

sees = page("monitors:read", limited=True)
orders = page("monitors:check", limited=True)
reads = page("resources:read")
writes = page("resources:write")
sees_alerts = page("alerts:read", limited=True)
orders_alerts = page("alerts:write", limited=True)
keeps_secrets = page("secrets:write", fresh=True)

urlpatterns: list[URLPattern] = [
    path("", sees(overview.overview), name="overview"),
    path("add", writes(overview.add), name="add"),
    path("monitors/", sees(monitors.monitor_list), name="monitors"),
    path("monitors/orders", orders(monitors.monitor_orders), name="monitor_orders"),
    path("monitors/<str:name>/", sees(monitor.monitor_page), name="monitor"),
    path("monitors/<str:name>/traces/<str:trace>", sees(traces.monitor_trace), name="monitor_trace"),
    path("monitors/<str:name>/pictures/<str:picture>", sees(traces.monitor_picture), name="monitor_picture"),
    path("monitors/<str:name>/<slug:order>", orders(monitor.monitor_order), name="monitor_order"),
    path("locations/", page("monitors:read")(location_list), name="locations"),
    path("heartbeats/", sees(heartbeats.heartbeat_list), name="heartbeats"),
    path("heartbeats/<str:name>/", sees(heartbeats.heartbeat_page), name="heartbeat"),
    path("heartbeats/<str:name>/pings/<int:n>", sees(heartbeats.ping_body), name="ping_body"),
    path("heartbeats/<str:name>/<slug:order>", orders(heartbeats.heartbeat_order), name="heartbeat_order"),
    path("windows/", page("monitors:read")(windows.window_list), name="windows"),
    path("windows/<str:name>/end", writes(windows.window_end), name="window_end"),
    path("maintenance", orders(windows.maintenance), name="maintenance"),
    path("alerts/", sees_alerts(alert_pages.alert_list), name="alerts"),
    path("alerts/orders", orders_alerts(alert_pages.alert_orders), name="alert_orders"),
    path("alerts/<str:alert_id>/", sees_alerts(alert_pages.alert_page), name="alert"),
    path("alerts/<str:alert_id>/<slug:order>", orders_alerts(alert_pages.alert_order), name="alert_order"),
    path("channels/", page("alerts:read")(channel_pages.channel_list), name="channels"),
    path("channels/<str:name>/test", page("channels:test")(channel_pages.channel_test), name="channel_test"),
    path("status-pages/", reads(status_pages.status_page_list), name="status_pages"),
    path("routes/", reads(resources.resource_list), {"kind": "route"}, name="routes"),
    path("resources/", reads(resources.resource_list), name="resources"),
    path("resources/new", writes(resources.resource_new), name="resource_new"),
    path("resources/plan", writes(resources.resource_plan), name="resource_plan"),
    path("resources/apply", writes(resources.resource_apply), name="resource_apply"),
    path("resources/export", reads(resources.resource_export), name="resource_export"),
    path("resources/<str:kind>/<str:name>/", reads(resources.resource_page), name="resource"),
    path("resources/<str:kind>/<str:name>/edit", writes(resources.resource_edit), name="resource_edit"),
    path("resources/<str:kind>/<str:name>/delete", writes(resources.resource_delete), name="resource_delete"),
    path("revisions/", reads(revisions.revision_list), name="revisions"),
    path("revisions/<int:number>/", reads(revisions.revision_page), name="revision"),
    path("revisions/<int:number>/rollback", writes(revisions.rollback), name="rollback"),
    path("journal/", page("journal:read")(journal.journal), name="journal"),
    path("journal/verify", page("journal:read")(journal.verify_journal), name="journal_verify"),
    path("journal/export", page("journal:export")(journal.export_journal), name="journal_export"),
    path("vault/", page("secrets:write")(vault.vault_page), name="vault"),
    path("vault/set", keeps_secrets(vault.vault_set), name="vault_set"),
    path("vault/remove", keeps_secrets(vault.vault_remove), name="vault_remove"),
    path("vault/rotate", keeps_secrets(vault.vault_rotate), name="vault_rotate"),
    path("nodes/", page("settings:read")(nodes.node_list), name="nodes"),
    path("nodes/<str:name>/<slug:order>", page("nodes:write")(nodes.node_order), name="node_order"),
    path("health/", page("settings:read")(health.health), name="health"),
]

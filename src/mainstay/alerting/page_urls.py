"""Addresses of the pages of alerting, each with the scope that its door asks for."""

from __future__ import annotations

from django.urls import URLPattern, path

from mainstay.accounts.doors import page
from mainstay.alerting import alert_pages, channel_pages, device_pages, pages

sees_alerts = page("alerts:read", limited=True)
orders_alerts = page("alerts:write", limited=True)

urlpatterns: list[URLPattern] = [
    # Open without sign-in.
    path("a/<str:token>", pages.acknowledge_by_link, name="acknowledge_by_link"),
    path("service-worker.js", device_pages.service_worker, name="service_worker"),
    path("devices/add", sees_alerts(device_pages.device_add), name="device_add"),
    path("devices/<str:device_id>/remove", sees_alerts(device_pages.device_remove), name="device_remove"),
    path("alerts/", sees_alerts(alert_pages.alert_list), name="alerts"),
    path("alerts/orders", orders_alerts(alert_pages.alert_orders), name="alert_orders"),
    path("alerts/<str:alert_id>/", sees_alerts(alert_pages.alert_page), name="alert"),
    path("alerts/<str:alert_id>/<slug:order>", orders_alerts(alert_pages.alert_order), name="alert_order"),
    path("channels/", page("alerts:read")(channel_pages.channel_list), name="channels"),
    path("channels/<str:name>/test", page("channels:test")(channel_pages.channel_test), name="channel_test"),
]

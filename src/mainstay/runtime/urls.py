"""Every page's address. What the event loop serves itself (pings, status pages, live updates) is in the runtime."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path

from mainstay.foreign.compat.healthchecks import views as healthchecks
from mainstay.frames import errors
from mainstay.kernel.capability import CAPABILITIES
from mainstay.runtime.api import api, docs

urlpatterns: list[URLPattern | URLResolver] = [
    # Before allauth, some of whose pages accounts has its own of.
    *(path("", include(capability.pages)) for capability in CAPABILITIES if capability.pages),
    path("accounts/", include("allauth.urls")),
    path("api/docs", docs, name="api_docs"),
    *healthchecks.urlpatterns,  # before our own, which have none of these addresses
    path("api/v1/", api.urls),
]

handler400 = errors.bad_request
handler403 = errors.forbidden
handler404 = errors.not_found
handler500 = errors.broken
handler429 = errors.too_many

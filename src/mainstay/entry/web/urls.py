"""Every page's address."""

from __future__ import annotations

urlpatterns: list[object] = []

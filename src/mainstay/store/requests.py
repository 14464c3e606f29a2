"""What a page for people is given: Django's request with the actor that the door has let in."""

from __future__ import annotations

from django.http import HttpRequest

from mainstay.kernel.actor import Actor


class PageRequest(HttpRequest):
    """Set by the door (`accounts.doors.page`) before any view runs."""

    actor: Actor

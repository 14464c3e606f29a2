"""Template tags of nodes."""

from __future__ import annotations

from django import template

from mainstay.nodes.queries import keeps_apart

register = template.Library()


@register.inclusion_tag("nodes/apart.html")
def results_apart(look: str = "note") -> dict[str, str]:
    """Whose results a page shows, where servers do not share them; nothing where they do. `look`: its class."""
    return {"here": keeps_apart(), "look": look}

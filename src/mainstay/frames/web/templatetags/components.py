"""Pieces that pages are made of: each is a partial in `templates/web/components`, which says what it takes.

A partial sees what it is given and nothing else of the page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import template
from django.template import Engine
from django.utils.safestring import SafeString

from mainstay.frames.web.table import heads

if TYPE_CHECKING:
    from django.template import RequestContext

register = template.Library()
register.filter(heads)


@register.simple_tag(takes_context=True)
def draw(context: RequestContext, name: str, **given: Any) -> SafeString:
    """`{% draw 'tile' title='Monitors' figure=count %}`; with `as NAME`, kept for another component."""
    given |= {"request": context.get("request"), "csrf_token": context.get("csrf_token")}
    return Engine.get_default().get_template(f"web/components/{name}.html").render(context.new(given))


@register.simple_block_tag(takes_context=True)
def component(context: RequestContext, content: str, name: str, **given: Any) -> SafeString:
    """`{% component 'notice' look='down' %}...{% endcomponent %}`: what stands between is its `slot`."""
    return draw(context, name, **given, slot=SafeString(content.strip()))

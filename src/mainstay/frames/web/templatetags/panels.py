"""What other capabilities show on the page of a subject."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import template
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from mainstay.kernel.capability import CAPABILITIES, load

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mainstay.kernel.capability import Slot

register = template.Library()


@register.simple_tag(takes_context=True)
def panels(context: Mapping[str, Any], slot: Slot, kind: str, name: str) -> SafeString:
    """Everything that capabilities have to show there of `kind/name`, in their order."""
    found = ((load(one.panels)(context["request"], f"{kind}/{name}", slot),) for one in CAPABILITIES if one.panels)
    return format_html_join("", "{}", found)

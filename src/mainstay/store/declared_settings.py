"""What is declared of the settings, for the one `Settings` object of this process to take."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from mainstay.kernel.settings import KIND
from mainstay.store.models import ResourceRow

if TYPE_CHECKING:
    from mainstay.kernel.settings import Settings


def take_declared(settings: Settings) -> None:
    """Cheap enough to repeat each second. It reads no column that an older version lacks, and checks nothing anew: what
    was declared was checked then, and settings that this version does not know are left alone."""
    row = ResourceRow.objects.filter(kind=KIND).values_list("revision", "document").first()
    revision, document = row or (0, "{}")
    if revision != settings.revision:
        settings.take(json.loads(document), revision)

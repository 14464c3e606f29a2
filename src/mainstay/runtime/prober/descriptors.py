"""The number of descriptors that a prober may open."""

from __future__ import annotations

import resource
from contextlib import suppress

_DESCRIPTORS = 65_536


def raise_descriptor_limit() -> None:
    """Each check under way holds a descriptor; a hanging target holds its own for the whole timeout."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(_DESCRIPTORS, hard)
    if soft < wanted:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))

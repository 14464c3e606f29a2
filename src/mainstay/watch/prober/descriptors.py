"""The number of descriptors that a process may open."""

from __future__ import annotations

import resource
from contextlib import suppress

_DESCRIPTORS = 65_536


def raise_descriptor_limit() -> int:
    """The number from now on. Each check and each visitor holds a descriptor; one that hangs holds it for long."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(_DESCRIPTORS, hard)
    if soft < wanted:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]

"""Identifiers that outsiders keep: derived from names, so that they survive a new installation."""

from __future__ import annotations

import hashlib


def stable_id(*parts: str) -> str:
    """Twelve letters and digits, always the same for the same parts."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]

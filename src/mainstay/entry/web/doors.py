"""The doors of pages, under the name that entry rooms use. They live in accounts, which every capability may import."""

from __future__ import annotations

from mainstay.accounts.doors import Door, factor_notice, page, public, requires, session_actor, token_actor

__all__ = ["Door", "factor_notice", "page", "public", "requires", "session_actor", "token_actor"]

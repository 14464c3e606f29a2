"""Keys of sources, where they are looked up."""

from __future__ import annotations

import pytest

PD_KEY, OG_KEY, HOOK_KEY = "0123456789abcdef0123456789abcdef", "genie-0815", "hook-key-4711"


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("PD_KEY", PD_KEY), ("OG_KEY", OG_KEY), ("HOOK_KEY", HOOK_KEY)):
        monkeypatch.setenv(name, value)

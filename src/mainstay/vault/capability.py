"""What others may know of the vault."""

from __future__ import annotations

from mainstay.kernel.capability import Capability, Command, MenuEntry, Routes, Scope

CAPABILITY = Capability(
    name="vault",
    order=82,
    about="Secrets, kept encrypted",
    app="templates",
    scopes=(
        Scope(
            "secrets:write",
            "set, list and remove secrets of the vault, and rotate its key; values are never shown",
            "operations",
            granting=True,
        ),
    ),
    pages="mainstay.vault.page_urls",
    menu=(MenuEntry("Set up", 160, "Vault", "/vault/", "vault", "secrets:write"),),
    routes=(Routes("/vault", "mainstay.vault.api", "Vault"),),
    commands=(Command("vault", 250, "mainstay.vault.commands:vault", "Keep secrets encrypted, for ${vault:NAME}"),),
)

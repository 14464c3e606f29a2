"""Doors of the vault: its page, API and command."""

"""Doors of the journal: its page, API, command and checkpoints."""

"""Doors of the journal: its page, API and command, and the lane that seals it."""

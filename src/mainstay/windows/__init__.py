"""Maintenance windows: when no one is to be woken."""

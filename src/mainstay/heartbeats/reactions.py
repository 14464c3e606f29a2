"""Reactions of heartbeats to events of other capabilities."""

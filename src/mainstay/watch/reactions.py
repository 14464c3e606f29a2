"""Reactions of watch to events of other capabilities."""

"""Reactions of alerting to events of other capabilities."""

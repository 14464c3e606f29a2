"""Waking the right person: alerts, routes, the outbox and its delivery."""

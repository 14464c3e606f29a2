"""Watching: monitors, their states and what decides them."""

"""Telemetry: raw results and their roll-ups, behind one interface."""

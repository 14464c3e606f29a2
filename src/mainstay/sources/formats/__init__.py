"""Formats of senders, read into reports: pure, no clock and no database of their own."""

"""Heartbeats: jobs that report in, and deadlines that pass when they do not."""

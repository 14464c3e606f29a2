"""Doors of snapshots: the command, and the lane that takes them."""

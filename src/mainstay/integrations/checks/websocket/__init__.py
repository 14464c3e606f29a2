"""WebSockets: the upgrade, and optionally a message and its answer."""

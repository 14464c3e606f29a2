"""MongoDB: login, role, command, values in its answer."""

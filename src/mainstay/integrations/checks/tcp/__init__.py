"""TCP connections, optionally with words sent and expected."""

"""Redis and what speaks its protocol: login, command, value."""

"""TLS certificates: the chain, its names and how long it lasts."""

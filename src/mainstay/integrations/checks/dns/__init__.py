"""DNS queries and their answers."""

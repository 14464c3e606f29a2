"""Check kind http."""

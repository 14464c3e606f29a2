"""Check kinds."""

"""Channel kind webhook."""

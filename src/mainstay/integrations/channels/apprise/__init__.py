"""Channel kind apprise."""

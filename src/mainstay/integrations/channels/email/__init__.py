"""Channel kind email."""

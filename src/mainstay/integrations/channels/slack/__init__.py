"""Channel kind slack."""

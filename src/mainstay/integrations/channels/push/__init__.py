"""Channel kind push."""

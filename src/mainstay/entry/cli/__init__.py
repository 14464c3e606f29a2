"""The command line. Every command imports what it needs only when it runs."""

"""Public status pages."""

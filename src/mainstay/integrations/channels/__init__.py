"""Channel kinds."""

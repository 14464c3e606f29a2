"""Declared resources: reading files, planning, applying, exporting, rolling back."""

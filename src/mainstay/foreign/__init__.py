"""Formats of other tools: importers of their files, and APIs that their clients speak."""

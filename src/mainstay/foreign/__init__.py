"""Formats of other tools: importers for their files, and APIs for their clients."""

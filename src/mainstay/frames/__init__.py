"""What doors share: opening the data, command output, errors, limits, lane loop, the look of pages."""

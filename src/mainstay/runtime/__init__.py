"""The composition root: settings, boot, lanes, supervisor, health."""

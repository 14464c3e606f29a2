"""The newest deployment or build of a project, asked of the provider that makes it."""

"""SSH servers: banner and host key."""

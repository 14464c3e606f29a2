"""Where pings come in: HTTP and mail, and the spool that keeps them while the database is away."""

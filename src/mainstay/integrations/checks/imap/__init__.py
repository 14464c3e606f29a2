"""IMAP servers: greeting, STARTTLS or TLS, certificate, login."""

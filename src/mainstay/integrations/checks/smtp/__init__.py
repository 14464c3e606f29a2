"""SMTP servers: greeting, STARTTLS or TLS, certificate, login."""

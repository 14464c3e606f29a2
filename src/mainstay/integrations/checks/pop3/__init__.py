"""POP3 servers: greeting, STLS or TLS, certificate, login."""

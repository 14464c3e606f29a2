"""PostgreSQL: login, query, value."""

"""MySQL and MariaDB: login, query, value."""

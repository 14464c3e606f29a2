"""Several servers on one PostgreSQL: who they are, which monitors each of them checks, and who takes over."""

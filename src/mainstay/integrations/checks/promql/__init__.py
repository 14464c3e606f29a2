"""A query to Prometheus, or to anything that answers like it, held against limits."""

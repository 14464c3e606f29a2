"""Ways in: pages, the REST API, pings and the command line. Thin doors to verbs and queries."""

"""Fast doors for programs: no ORM, no middleware."""

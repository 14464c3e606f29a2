"""Who is on duty, and how each person is reached."""

"""NTP servers: how far their clock is from ours, and how good they say it is."""

"""The REST API and the formats that other tools read."""

"""MQTT brokers: login, and optionally a topic and its messages."""

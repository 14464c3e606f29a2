"""Remembering: units of work, resources, the journal, the outbox and telemetry. Knows no capability."""

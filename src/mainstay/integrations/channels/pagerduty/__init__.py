"""Channel kind pagerduty."""

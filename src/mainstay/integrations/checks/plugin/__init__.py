"""Programs written for Nagios and its kin, run unchanged."""

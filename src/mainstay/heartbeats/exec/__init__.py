"""`mainstay exec`: runs a job and reports how it went."""
